"""Turns: nobody waits for another's work to end."""

from __future__ import annotations

from serverpush.jobs import AccessJob
from serverpush.protocol import Ending
from serverpush.results import AccessResult
from serverpush.server.core.access import Access
from serverpush.server.core.turns import Turns
from serverpush.server.core.visits import Visit

from .world import World, where


def source(*given):
    return iter([*given, *[None] * 10]).__next__


def taken(turns, count):
    return [turns.next() for _ in range(count)]


def test_they_take_turns():
    turns = Turns(source("a", "b", "c"), source(1, 2, 3))
    assert taken(turns, 7) == ["a", 1, "b", 2, "c", 3, None]


def test_one_that_has_nothing_keeps_nobody_waiting():
    turns = Turns(source(None, None, "a"), source(1, 2, 3))
    assert taken(turns, 4) == [1, 2, "a", 3]


def test_whose_turn_has_not_come_is_first_when_it_has_something():
    turns = Turns(source("a"), source(None, 1, 2, 3), source("x", "y"))
    assert taken(turns, 5) == ["a", "x", 1, "y", 2]


def test_a_user_in_doubt_after_each_job_leaves_the_updates_their_turns():
    access, world = Access(max_age=100, now=1000), World(rows={1: {"pk": 1}})
    world.connect("c", world.page(where(pk=1)))
    access.add("c", Visit("key", "hash", "7"), 0)
    world.save(1, x=1)
    turns = Turns(access.next_job, world.dispatch.next_job)
    kinds = []
    while world.dispatch.renderings or world.dispatch.matchings:
        access.end(Ending(doubtful=("7",)), 1000)
        ticket, job = turns.next()
        kinds.append(type(job))
        if isinstance(job, AccessJob):
            access.answer(ticket, AccessResult(("stamp",)), 1000)
        else:
            world.do(world.dispatch.answer(ticket, world.execute(job)))
        assert len(kinds) < 10
    assert kinds[::2] == [AccessJob] * len(kinds[::2])
    assert world.sent["c"]
