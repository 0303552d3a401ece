"""Matchings: whose turn it is."""

from __future__ import annotations

from serverpush.jobs import MatchJob
from serverpush.results import MatchResult
from serverpush.server.core.index import Index
from serverpush.server.core.log import Log
from serverpush.server.core.matchings import Live, Matchings
from serverpush.server.core.steps import Step

from .world import MODELS, World, asking, guarded


def creations(*keys):
    """A queue that these instances have been added to, each changed once."""
    matchings = Matchings(Index(MODELS))
    position = Log(epoch="first", now=1000, size=10, seconds=10).head
    for ticket, (model, pk) in enumerate(keys):
        matchings.add_live(model, pk, Live(Step("created", 1000, position, position), ticket))
    return matchings


def asked(matchings):
    found = []
    while (question := matchings.next()) is not None:
        found.append((question[1].model, question[1].pk))
    return found


def test_an_instance_is_next_beside_a_flood_of_another_model():
    flood = [("shop.book", pk) for pk in range(100)]
    assert asked(creations(*flood, ("shop.pen", 1)))[:2] == [("shop.book", 0), ("shop.pen", 1)]


def test_in_one_model_it_is_first_come_first_served():
    keys = [("shop.book", pk) for pk in (3, 1, 2)]
    assert asked(creations(*keys, keys[0])) == keys


def test_what_changes_while_it_is_asked_about_is_asked_again_afterwards():
    world = World(rows={1: {"pk": 1, "shelf": 1}})
    world.connect("a", world.page(asking(shelf=1)))
    world.save(1, shelf=2)
    ticket, job = world.dispatch.next_job()
    assert isinstance(job, MatchJob)
    world.save(1, shelf=1)
    assert world.dispatch.matchings == 0
    world.do(world.dispatch.answer(ticket, MatchResult({})))
    assert world.dispatch.matchings == 1
    world.work()
    assert world.dispatch.matchings == 0


def test_of_many_queries_only_those_are_asked_that_the_row_does_not_rule_out():
    world = World(rows={1: {"pk": 1, "shelf": 1, "title": "a"}})
    for number in range(100):
        page = world.page(guarded(shelf=number, title="a"))
        world.connect(f"client {number}", page, since=world.log.head)
    world.connect("rest", world.page(asking(title="a")), since=world.log.head)
    world.save(1, title="a")
    world.work()
    first, second = [job for job in world.jobs if isinstance(job, MatchJob)]
    assert (first.fields, len(first.conditions)) == (("shelf",), 1)
    assert (second.fields, len(second.conditions)) == ((), 1)
    told = [id for id in ("rest", *(f"client {each}" for each in range(100))) if world.events(id)]
    assert told == ["rest", "client 1"]
    world.jobs.clear()
    world.save(1, shelf=2)
    world.work()
    assert [world.events(f"client {each}")[-1][0] for each in (1, 2)] == ["removed", "added"]
    for id in ("rest", *(f"client {each}" for each in range(100))):
        world.dispatch.disconnect(id)
    assert not world.dispatch.index.asks("shop.book")


def test_a_row_that_goes_between_both_parts_of_a_question_is_told_by_its_deletion():
    world = World(rows={1: {"pk": 1, "shelf": 1}})
    world.connect("a", world.page(guarded(shelf=1)), since=world.log.head)
    world.save(1, title="x")
    ticket, job = world.dispatch.next_job()
    world.do(world.dispatch.answer(ticket, world.execute(job)))
    world.delete(1)
    world.work()
    assert [event[0] for event in world.events("a")] == ["removed"]
