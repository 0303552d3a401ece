"""The lowest of what is held, and what is kept for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serverpush.protocol import Page, Position, Visitor
from serverpush.server.core.connection import Connection
from serverpush.server.core.floors import Floors
from serverpush.server.core.index import YOUNG_SECONDS
from serverpush.server.core.registry import Registry

HEAD = Position(1, 1, "e")


def position(number):
    return Position(number, 0, "e")


@given(st.lists(st.one_of(st.integers(0, 20), st.none())))
def test_the_lowest_is_that_of_what_is_held(steps):
    """A number is held; None releases what has been held longest."""
    floors, held = Floors(), []
    for step in steps:
        if step is not None:
            held.append((floors.hold(position(step)), position(step)))
        elif held:
            floors.release(held.pop(0)[0])
        assert floors.lowest() == min((each for _, each in held), default=None)
        assert len(floors) == len(held)


def test_what_is_released_does_not_pile_up_behind_what_is_held():
    floors = Floors()
    floors.hold(position(1))
    for number in range(10_000):
        floors.release(floors.hold(position(number + 2)))
    assert len(floors._heap) < 100


def connection(id, recorded):
    return Connection(id, Page("/", recorded=recorded), Visitor())


def test_only_pages_rendered_around_a_commit_may_show_it():
    registry = Registry()
    for id, recorded in (("older", 99.0), ("around", 100.5)):
        registry.add(connection(id, recorded), HEAD)
    assert [each.id for each in registry.may_show(100.0, 100.6)] == ["around"]


def test_for_a_commit_that_is_reported_late_all_pages_are_looked_at():
    registry = Registry()
    registry.add(connection("a", 100.0), HEAD)
    now = 100.0 + 3 * YOUNG_SECONDS
    assert registry.may_show(now, now) == []
    assert [each.id for each in registry.may_show(99.0, now)] == ["a"]


def test_what_is_gone_is_not_kept():
    registry = Registry()
    gone = connection("a", 100.0)
    registry.add(gone, HEAD)
    assert registry.pop("a") is gone
    assert gone.closed
    assert registry.may_show(99.0, 100.0) == []
    assert registry.pop("a") is None


def test_each_is_told_once_where_it_stands():
    registry = Registry()
    for id in "abc":
        registry.add(connection(id, 100.0), position(1))
    assert [each.id for each in registry.behind(position(9), position(5), 100)] == ["a", "b", "c"]
    assert registry.behind(position(9), position(5), 100) == []


def test_who_was_told_in_a_life_with_later_times_does_not_keep_others_waiting():
    registry = Registry()
    registry.add(connection("a", 100.0), position(99))
    anew = [Position(number, 0, "another") for number in (1, 2, 3)]
    registry.add(connection("b", 100.0), anew[0])
    assert [each.id for each in registry.behind(anew[1], anew[2], 100)] == ["a", "b"]


def test_in_another_life_a_position_may_be_earlier():
    one = connection("a", 100.0)
    assert one.reach(position(5)) == position(5)
    assert one.reach(position(4)) == position(5)
    anew = Position(3, 0, "another")
    assert one.reach(anew) == anew
