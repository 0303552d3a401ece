"""Pace: a site is not asked for all its pages in one moment."""

from __future__ import annotations

import pytest

from serverpush.server.pace import PAGES_PER_SECOND, SHORTEST, Pace


def test_a_few_are_spread_over_a_moment():
    assert Pace().within(10, 1000) == SHORTEST


def test_many_are_spread_so_that_the_site_can_serve_them():
    assert Pace().within(10_000, 1000) == 10_000 / PAGES_PER_SECOND


def test_those_told_before_count_until_they_had_their_time():
    pace = Pace()
    for _ in range(1000):
        pace.within(1, 1000)
    assert pace.within(1, 1000) == pytest.approx(1001 / PAGES_PER_SECOND)
    assert pace.within(1, 1005) == pytest.approx(502 / PAGES_PER_SECOND)
    assert pace.within(1, 1020) == SHORTEST
