"""The database's answer may be ahead of the log: a change that it holds is yet to be reported."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serverpush.jobs import MatchJob, RenderJob
from serverpush.protocol import Position
from serverpush.server.core.dispatch import Dispatch

from .world import MODELS, World, asking, where

BOOK = {"pk": 8, "shelf": "a"}


@pytest.fixture(params=[where, asking])
def condition(request):
    return request.param(shelf="a")


def safe(world, id):
    return Position.parse(world.sent[id][-1].meta["safe"])


def test_a_client_that_comes_back_before_the_change_is_reported(condition):
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    world.connect("ada", page)
    world.save(8, title="known")
    world.work()
    since = safe(world, "ada")
    # A graceful restart: the log is kept, the index is not.
    world.dispatch = Dispatch(world.log, MODELS, margin=0)
    world.sent.clear()
    world.rows[8] = {**BOOK, "shelf": "b"}
    committed = world.clock
    world.tick()
    world.connect("ada", page, since)
    world.work()
    world.report(8, "changed", committed)
    world.work()
    assert world.events("ada") == [("removed", 8, {"pk": 8})]


def test_others_hear_of_what_was_found_for_one_who_came_back(condition):
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    world.connect("ada", page)
    world.work()
    since = world.log.head
    world.save(8, title="known")
    world.work()
    world.rows[8] = {**BOOK, "shelf": "b"}
    committed = world.clock
    world.tick()
    world.connect("grace", page, since)
    world.work()
    world.report(8, "changed", committed)
    world.work()
    assert world.events("ada")[-1] == ("removed", 8, {"pk": 8})
    assert world.events("grace")[-1] == ("removed", 8, {"pk": 8})


def test_a_page_without_a_list_comes_back_to_the_list_of_one_that_is_newer(condition):
    # The list of the newer page holds a change already that is reported after both.
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    page = replace(page, dependencies=(replace(page.dependencies[0], keys=None),))
    world.connect("ada", page)
    since = world.log.head
    world.tick()
    world.rows[8] = {**BOOK, "shelf": "b"}
    committed = world.clock
    world.dispatch.disconnect("ada")
    world.connect("grace", world.page(condition))
    world.report(8, "changed", committed)
    world.work()
    world.connect("ada", page, since)
    world.work()
    assert world.events("ada") == [("removed", 8, {"pk": 8})]


@pytest.mark.parametrize("keys", [None, (8,)], ids=["without", "with"])
def test_a_page_shares_the_list_of_one_that_is_newer(condition, keys):
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    page = replace(page, dependencies=(replace(page.dependencies[0], keys=keys),))
    world.tick()
    world.rows[8] = {**BOOK, "shelf": "b"}
    committed = world.clock
    world.connect("grace", world.page(condition))
    world.connect("ada", page)
    world.report(8, "changed", committed)
    world.work()
    assert world.events("ada") == [("removed", 8, {"pk": 8})]


def test_a_page_comes_late_to_the_list_of_one_that_is_newer(condition):
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    page = replace(page, dependencies=(replace(page.dependencies[0], keys=None),))
    world.tick()
    world.rows[8] = {**BOOK, "shelf": "b"}
    committed = world.clock
    world.connect("grace", world.page(condition))
    world.report(8, "changed", committed)
    world.work()
    world.connect("ada", page)
    world.work()
    assert world.events("ada") == [("removed", 8, {"pk": 8})]


def test_one_that_is_reported_long_after(condition):
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    world.tick()
    world.rows[8] = {**BOOK, "shelf": "b"}
    committed = world.clock
    world.connect("grace", world.page(condition))
    world.connect("ada", page)
    world.tick(60)
    # Meanwhile the list was looked at, and found to be no young one.
    world.save(9, shelf="c")
    world.work()
    world.report(8, "changed", committed)
    world.work()
    assert world.events("ada") == [("removed", 8, {"pk": 8})]


def test_a_change_from_while_the_page_was_rendered_folds_into_one_from_after_it(condition):
    # Two processes of the site: the one that changed the row first reports it last.
    world = World({8: dict(BOOK)})
    page = world.page(condition)
    world.rows[8] = {**BOOK, "shelf": "b"}
    page = replace(
        page, recorded=world.clock, dependencies=(replace(page.dependencies[0], keys=()),)
    )
    committed = world.clock
    world.tick()
    world.save(8, title="changed once more")
    world.connect("ada", page)
    world.report(8, "changed", committed)
    world.work()
    assert world.events("ada") == [("removed", 8, {"pk": 8})]


def test_what_a_client_was_told_since_it_came_back_is_not_forgotten(condition):
    world = World({})
    page = world.page(condition)
    # Who keeps the condition while ada is away.
    world.connect("grace", page)
    world.connect("ada", page)
    world.save(8, shelf="a")
    ticket, job = world.dispatch.next_job()
    is_in = world.execute(job)
    world.dispatch.disconnect("ada")
    world.connect("ada", page)
    world.save(8, shelf="b")
    world.do(world.dispatch.answer(ticket, is_in))
    # That it is in is sent before the next question is answered, which is for both: for what
    # ada missed, and for what has changed.
    taken = [world.dispatch.next_job() for _ in range(2)]
    assert {type(job) for _, job in taken} == {MatchJob, RenderJob}
    for ticket, job in sorted(taken, key=lambda each: isinstance(each[1], MatchJob)):
        world.do(world.dispatch.answer(ticket, world.execute(job)))
    world.work()
    shown = set()
    for action, pk, _ in world.events("ada"):
        shown = shown - {pk} if action == "removed" else shown | {pk}
    assert shown == set()
