"""What nobody reports is found by the sweep, in a renderer."""

from __future__ import annotations

import time

import pytest

from .browsers import all_end, is_refreshed, start_access_site, wait_until_looked_at


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    live = start_access_site(tmp_path_factory.mktemp("access"), LIVE_SWEEP="1")
    yield live
    live.stop()


SWEPT = 15.0
"""Seconds; the push server sweeps each second here."""


@pytest.mark.parametrize("what", ["sessions-expired", "sessions-deleted", "silently-not-active"])
def test_what_nobody_reports_is_found_by_the_sweep(browser, what):
    here, stranger = browser(), browser()
    page, others = here.open(), stranger.open()
    since = here.happens(what)
    all_end([page], since, SWEPT)
    others.is_live(stranger)


def test_what_has_ended_gets_no_messages_when_it_comes_back(live, browser):
    here = browser()
    token = here.load("/me/")
    here.connect(token).client.close()
    here.happens("sessions-expired")
    # The sweep looks at those only who are there.
    wait_until_looked_at(browser, live)
    here.happens("told-a-secret")
    again, since = here.connect(token), time.time()
    here.happens("told-a-secret")
    all_end([again], since, SWEPT)


def test_who_is_back_gets_messages_when_somebody_has_looked(live, browser):
    here = browser()
    token = here.load("/me/")
    here.connect(token).client.close()
    wait_until_looked_at(browser, live)
    here.happens("told-a-secret")
    again = here.connect(token)
    assert again.told("secret") == {"of": here.name}


def test_a_permission_that_a_group_loses_is_found_by_the_sweep(live, browser):
    here = browser()
    page = here.open("/vault/")
    wait_until_looked_at(browser, live)
    is_refreshed(page, here.happens("readers-lose-it"), SWEPT)
    here.open().is_live(here)
