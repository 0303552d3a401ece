"""Matchings: whose turn it is."""

from __future__ import annotations

from serverpush.jobs import MatchJob
from serverpush.results import MatchResult
from serverpush.server.core.index import Index
from serverpush.server.core.log import Log
from serverpush.server.core.matchings import Live, Matchings
from serverpush.server.core.steps import Step

from .world import MODELS, World, asking


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
