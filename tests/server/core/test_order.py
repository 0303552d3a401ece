"""Order: at each place one after the other, and at two places at once."""

from __future__ import annotations

import pytest

from serverpush.server.core.order import Order


@pytest.fixture
def begun():
    return []


@pytest.fixture
def enter(order, begun):
    def enter(place, turn):
        order.enter(place, turn, lambda: begun.append(turn))

    return enter


@pytest.fixture
def order():
    return Order()


def test_one_after_the_other(order, enter, begun):
    for turn in (1, 2, 3):
        enter("here", turn)
    assert begun == [1]
    order.leave("here", 1)
    assert begun == [1, 2]
    order.leave("here", 2)
    order.leave("here", 3)
    assert begun == [1, 2, 3]
    assert len(order) == 0


def test_places_do_not_wait_for_each_other(order, enter, begun):
    enter("here", 1)
    enter("there", 2)
    assert begun == [1, 2]
    order.leave("there", 2)
    assert "here" in order
    assert "there" not in order


def test_who_waits_no_longer_is_not_waited_for(order, enter, begun):
    for turn in (1, 2, 3):
        enter("here", turn)
    order.leave("here", 2)
    assert begun == [1]
    order.leave("here", 1)
    order.leave("here", 1)
    assert begun == [1, 3]
