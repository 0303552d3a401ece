"""What one connection, update or rendering must not do to another."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from serverpush.jobs import MatchJob, RenderJob
from serverpush.protocol import Change, Condition, Page, Serializer
from serverpush.results import RenderResult
from serverpush.server.core.replay import MAX_INSTANCES

from .world import World, asking, dependency, where

VIEW = Serializer("view", "shop.views:books", reads_object=False)
ANY = Condition("shop.book")
PENS = Condition("shop.pen")


@pytest.fixture
def world():
    world = World()
    world.save(1, shelf=1)
    world.save(2, shelf=2)
    world.work()
    world.tick(20)
    return world


def told(world, id):
    return [(send.name, send.meta["action"], send.meta["pk"]) for send in world.sent.get(id, [])]


# Sharing


def test_pages_of_other_addresses_share_nothing_by_vary(world):
    for pk in (1, 2):
        page = world.page(where(pk=pk), serializer=VIEW, vary="[]")
        world.connect(f"room {pk}", replace(page, path=f"/room/{pk}/"))
    world.save(1, title="secret")
    world.save(2, title="other")
    world.work()
    rendered = {job.page.path for job in world.jobs if isinstance(job, RenderJob)}
    assert rendered == {"/room/1/", "/room/2/"}


# Folding


@pytest.mark.parametrize("condition", [ANY, where(shelf=1)])
def test_a_change_that_is_not_asked_for_does_not_hide_one_that_is(world, condition):
    world.save(3, shelf=1)
    world.work()
    world.renders["book"] = RenderResult("done", '"<ul>"')
    world.connect("a", world.page(condition, serializer=VIEW, on=("added", "removed")))
    world.delete(3)
    world.save(1, title="uno")
    world.work()
    assert told(world, "a") == [("book", "removed", 3)]


# A view that runs again and gives its page other dependencies


def list_and_field_map(world, condition):
    """A page with a list and a field map, and the same page once the list is rendered anew."""
    listed = dependency(condition, name="list", serializer=VIEW)
    shown = dependency(where(shelf=1), name="field", keys=(1,))
    page = Page("/", time=world.now, recorded=world.now, dependencies=(listed, shown))
    world.tick()
    renewed = (dependency(PENS, name="pens"), listed, shown)
    return page, renewed


def test_a_page_is_not_made_anew_twice_at_once_for_two_of_its_updates(world):
    books = dependency(ANY, name="reload", serializer=VIEW)
    pens = dependency(PENS, name="reload", serializer=VIEW, data='["x"]')
    page = Page("/", time=world.now, recorded=world.now, dependencies=(books, pens))
    world.tick()
    world.connect("a", page)
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    world.dispatch.changed(Change("shop.pen", 9, "changed", world.clock), world.now)
    assert world.dispatch.next_job() is None, "its end could come first, and be what is shown"
    world.do(world.dispatch.answer(ticket, RenderResult("done", '"older"')))
    ticket, job = world.dispatch.next_job()
    assert (job.name, job.model, job.pk) == ("reload", "shop.pen", 9)
    world.do(world.dispatch.answer(ticket, RenderResult("done", '"newer"')))
    assert world.events("a") == [("changed", 1, "older"), ("changed", 9, "newer")]


def test_the_first_of_two_events_does_not_say_that_the_second_is_there(world):
    books = [dependency(ANY, name=name, serializer=VIEW) for name in ("list", "count")]
    page = Page("/", time=world.now, recorded=world.now, dependencies=tuple(books))
    world.tick()
    before = world.log.head
    for id in ("a", "b"):
        world.connect(id, page)
    world.save(1)
    world.work()
    for id in ("a", "b"):
        first, second = world.sent[id]
        assert {first.name, second.name} == {"list", "count"}
        assert (first.meta["safe"], second.meta["safe"]) == (str(before), str(world.log.head))


def test_a_page_is_not_made_anew_twice_at_once_whatever_shares_it(world):
    books = dependency(ANY, name="list", serializer=VIEW, vary="[]")
    pens = dependency(PENS, name="count", serializer=VIEW)
    page = Page("/", time=world.now, recorded=world.now, dependencies=(books, pens))
    world.tick()
    world.connect("a", page)
    world.save(1)
    world.dispatch.changed(Change("shop.pen", 9, "changed", world.clock), world.now)
    assert world.dispatch.next_job() is not None
    assert world.dispatch.next_job() is None


def test_a_page_whose_view_says_that_it_is_gone_is_told_to_refresh(world):
    world.renders["book"] = RenderResult("gone")
    world.connect("a", world.page(ANY, serializer=VIEW))
    world.delete(1)
    world.work()
    assert world.refreshes("a") == ["error"]


def answer_view_first(world, renewed):
    first, second = world.dispatch.next_job(), world.dispatch.next_job()
    view, match = (first, second) if isinstance(first[1], RenderJob) else (second, first)
    page = Page("/", time=world.now, recorded=world.now, dependencies=renewed)
    world.tick()
    world.do(world.dispatch.answer(view[0], RenderResult("done", '"<ul>"', page=page)))
    world.do(world.dispatch.answer(match[0], world.execute(match[1])))
    world.work()


def test_what_is_being_matched_for_the_pages_other_updates_arrives(world):
    page, renewed = list_and_field_map(world, ANY)
    world.connect("a", page)
    world.save(1, title="uno")
    answer_view_first(world, renewed)
    assert sorted(told(world, "a")) == [("field", "changed", 1), ("list", "changed", 1)]


def test_what_is_being_replayed_for_the_pages_other_updates_arrives(world):
    page, renewed = list_and_field_map(world, PENS)
    world.save(1, title="uno")
    world.dispatch.changed(Change("shop.pen", 7, "created", world.now), world.now)
    world.tick()
    world.connect("a", page)
    answer_view_first(world, renewed)
    assert sorted(told(world, "a")) == [("field", "changed", 1), ("list", "added", 7)]


# A membership that several pages share


@pytest.fixture
def old_and_new(world):
    """Two pages with one condition; the older one's list lacks what moved in since."""
    old = world.page(where(shelf=1))
    world.save(2, shelf=1)
    world.work()
    world.tick(1)
    new = world.page(where(shelf=1))
    world.tick(1)
    world.connect("old", old)
    world.connect("new", new)
    return world


def moves_out(world):
    world.save(2, shelf=2)
    world.work()
    return [(action, pk) for action, pk, _ in world.events("new")]


def test_an_older_page_brings_the_membership_up_to_date(old_and_new):
    old_and_new.work()
    assert moves_out(old_and_new) == [("removed", 2)]


def test_so_it_does_when_it_goes_before_it_is_answered(old_and_new):
    old_and_new.dispatch.disconnect("old")
    old_and_new.work()
    assert moves_out(old_and_new) == [("removed", 2)]


def test_so_it_does_when_the_instance_changes_before_it_is_answered(old_and_new):
    assert moves_out(old_and_new) == [("removed", 2)]


def test_where_it_can_not_be_answered_all_who_share_it_refresh(old_and_new):
    world = old_and_new
    ticket, _ = world.dispatch.next_job()
    world.do(world.dispatch.failed(ticket, "the renderer died"))
    assert world.refreshes("old") == world.refreshes("new") == ["error"]
    # Nobody knows the membership any more: from now on, too much is told.
    assert moves_out(world) == [("removed", 2)]


# Costs


def test_a_page_that_missed_too_much_is_loaded_again(world):
    page = world.page(asking(shelf=1))
    for pk in range(MAX_INSTANCES + 1):
        world.save(100 + pk, shelf=1)
    world.connect("a", page)
    assert world.refreshes("a") == ["history"]
    assert world.dispatch.matchings == 0
    world.save(100, title="x")
    world.work()
    assert len(world.events("a")) == 1


def test_what_is_not_asked_may_be_missed_in_any_number(world):
    page = world.page(ANY, serializer=VIEW, name="list")
    world.renders["list"] = RenderResult("done", '"<ul>"')
    for pk in range(MAX_INSTANCES + 1):
        world.save(100 + pk, shelf=1)
    world.connect("a", page)
    world.work()
    assert (world.refreshes("a"), len(world.events("a"))) == ([], 1)


def test_matching_does_not_keep_back_renderings(world):
    world.connect("quiet", world.page(where(pk=1)))
    world.connect("busy", world.page(asking(shelf=9)))
    for pk in range(100, 150):
        world.save(pk, shelf=3)
    world.save(1, title="uno")
    kinds = [type(world.dispatch.next_job()[1]) for _ in range(4)]
    assert RenderJob in kinds


# Clocks


def test_a_site_whose_clock_is_ahead_loses_nothing(world):
    world.dispatch._skew = 1.0
    page = world.page(where(pk=1))
    ahead = replace(page, time=page.time + 0.9, recorded=page.recorded + 0.9)
    world.save(1, title="uno")
    world.connect("a", ahead, since=world.dispatch.at(ahead.time))
    world.work()
    assert [json.loads(each.payload)["title"] for each in world.sent["a"]] == ["uno"]


def test_what_was_there_when_the_page_recorded_goes_by_its_own_action(world):
    """A page by URL records late, and asks for what came after an earlier time."""
    since = world.log.head
    world.save(3, shelf=2)
    page = world.page(asking(shelf=2))
    world.connect("a", page, since=since)
    world.work()
    assert [(action, pk) for action, pk, _ in world.events("a")] == [("added", 3)]


# Changes that are decided together, and rows that are gone when they are rendered


def create(world):
    world.save(5, shelf=1)


def delete(world):
    world.delete(5)


def move_in(world):
    world.save(5, shelf=1)


def move_out(world):
    world.save(5, shelf=2)


@pytest.mark.parametrize("condition", [where(shelf=1), asking(shelf=1)])
@pytest.mark.parametrize(
    ("before", "first", "second", "on", "action"),
    [
        (None, create, delete, ("added", "changed", "removed"), "removed"),
        (move_out, move_in, move_out, ("added", "changed", "removed"), "removed"),
        (move_in, move_out, move_in, ("added",), "added"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_page_rendered_between_changes_that_are_decided_together(
    world, condition, before, first, second, on, action, listed
):
    if before:
        before(world)
        world.work()
    world.connect("other", world.page(condition, on=on))
    world.tick(10)
    first(world)
    world.tick(1)
    page = world.page(condition, on=on)
    if not listed:
        page = replace(page, dependencies=(replace(page.dependencies[0], keys=None),))
    world.tick(1)
    second(world)
    world.work()
    world.tick(1)
    world.connect("a", page)
    world.work()
    assert [each[1:] for each in told(world, "a")] == [(action, 5)]


def match_only(world):
    """Answer the questions; returns the rendering that is next."""
    while isinstance((found := world.dispatch.next_job())[1], MatchJob):
        world.do(world.dispatch.answer(found[0], world.execute(found[1])))
    return found


@pytest.mark.parametrize("condition", [where(shelf=1), asking(shelf=1)])
def test_a_row_that_one_finds_gone_is_removed_for_all(world, condition):
    world.save(5, shelf=1)
    world.work()
    world.tick(10)
    world.connect("one", world.page(condition))
    world.connect("other", world.page(condition, on=("added", "removed")))
    world.tick(10)
    world.save(5, title="x")
    ticket, job = match_only(world)
    world.tick(1)
    world.connect("new", world.page(condition))
    del world.rows[5]
    world.do(world.dispatch.answer(ticket, world.execute(job)))
    world.work()
    world.tick()
    world.report(5, "deleted")
    world.work()
    for id in ("one", "other", "new"):
        assert ("book", "removed", 5) in told(world, id), id


@pytest.mark.parametrize("condition", [where(shelf=1), asking(shelf=1), ANY])
def test_a_client_may_have_applied_what_came_after_its_safe_position(world, condition):
    page = world.page(condition)
    world.connect("a", page)
    safe = world.log.head
    world.save(5, shelf=1)
    world.work()
    assert [each[1:] for each in told(world, "a")] == [("added", 5)]
    world.dispatch.disconnect("a")
    world.delete(5)
    # Its last event said no more than this was safe: something else was still to come.
    world.connect("again", page, since=safe)
    world.work()
    assert [each[1:] for each in told(world, "again")] == [("removed", 5)]


def test_a_row_that_is_created_again_while_its_rendering_finds_it_gone(world):
    world.rows = {2: {"pk": 2}}
    world.connect("a", world.page(where()))
    world.save(2, title="one")
    ticket, job = world.dispatch.next_job()
    assert isinstance(job, RenderJob)
    world.delete(2)
    gone = world.execute(job)
    world.save(2, title="two")
    world.do(world.dispatch.answer(ticket, gone))
    world.work()
    assert world.events("a")[-1] == ("changed", 2, {"pk": 2, "title": "two"})
