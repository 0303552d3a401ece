"""What a view that runs again may have read, though it was over before anybody asked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from serverpush.jobs import MatchJob, RenderJob
from serverpush.protocol import Serializer
from serverpush.results import RenderResult
from serverpush.server.core import glimpses, owing
from serverpush.server.core.dispatch import Dispatch

from .world import MODELS, World, asking, dependency, where

SHELF = Serializer("view", "shop.views:shelf", reads_object=False)
FUNCTION = Serializer("function", "shop.views:serialize")


class Shelf(World):
    """A view that shows the books of the first shelf."""

    def render(self, job):
        if job.serializer != SHELF:
            return super().render(job)
        self.tick()
        time = self.clock
        shown = sorted(pk for pk, row in self.rows.items() if row["shelf"] == 1)
        self.tick()
        dependencies = tuple(
            replace(each, keys=self.keys(each.condition)) for each in job.page.dependencies
        )
        page = replace(job.page, time=time, recorded=self.clock, dependencies=dependencies)
        return RenderResult("done", json.dumps(shown), page=page)

    def next_job(self, kind):
        ticket, job = self.dispatch.next_job()
        assert isinstance(job, kind)
        return ticket, job

    def answer(self, ticket, result):
        self.do(self.dispatch.answer(ticket, result))


@pytest.fixture(params=["one", "many"])
def ids(request):
    return ["one"] if request.param == "one" else ["one", "two", "three"]


@pytest.fixture(params=[where(shelf=1), asking(shelf=1)])
def world(request, ids):
    world = Shelf(rows={1: {"pk": 1, "shelf": 1}})
    world.reads["book"] = ()
    page = world.page(request.param, serializer=SHELF)
    for id in ids:
        world.connect(id, page, since=world.log.head)
    # Nobody takes these pages for new any more.
    world.tick(60)
    return world


def begin(world):
    """The view is being run again."""
    world.save(1, title="x")
    while True:
        ticket, job = world.dispatch.next_job()
        if isinstance(job, RenderJob):
            return ticket, job
        world.answer(ticket, world.execute(job))


def show_a_book_that_goes(world, end):
    """The view reads while there is a second book; returns its times, and the view's result."""
    ticket, job = begin(world)
    world.tick()
    world.rows[2] = {"pk": 2, "shelf": 1}
    came = world.clock
    result = world.execute(job)
    world.tick()
    if end == "moved":
        world.rows[2] = {"pk": 2, "shelf": 2}
    else:
        del world.rows[2]
    return (came, world.clock), ticket, result


def shown(world, id):
    return world.events(id)[-1][2]


ENDS = {"moved": "changed", "deleted": "deleted"}


@pytest.mark.parametrize("end", ENDS)
def test_both_are_reported_after_the_view(world, ids, end):
    (came, went), *answer = show_a_book_that_goes(world, end)
    world.answer(*answer)
    world.report(2, "created", came)
    world.report(2, ENDS[end], went)
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


@pytest.mark.parametrize("end", ENDS)
def test_one_is_asked_about_before_the_other_is_reported(world, ids, end):
    (came, went), *answer = show_a_book_that_goes(world, end)
    world.answer(*answer)
    world.report(2, "created", came)
    world.work()
    world.report(2, ENDS[end], went)
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


@pytest.mark.parametrize("end", ENDS)
def test_they_are_reported_in_the_other_order(world, ids, end):
    (came, went), *answer = show_a_book_that_goes(world, end)
    world.answer(*answer)
    world.report(2, ENDS[end], went)
    world.work()
    world.report(2, "created", came)
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


@pytest.mark.parametrize("end", ENDS)
def test_both_are_asked_about_while_the_view_runs(world, ids, end):
    (came, went), *answer = show_a_book_that_goes(world, end)
    world.report(2, "created", came)
    world.report(2, ENDS[end], went)
    world.work()
    before = world.log.head
    world.answer(*answer)
    # Until it has been made anew they are not told that they have had everything.
    assert all(each.meta["safe"] < str(before) for id in ids for each in world.sent[id])
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


def test_they_are_reported_much_later(world, ids):
    (came, went), *answer = show_a_book_that_goes(world, "moved")
    world.answer(*answer)
    world.tick(30)
    world.report(2, "created", came)
    world.report(2, "changed", went)
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


def test_what_is_changed_once_is_nobodys_doubt(world, ids):
    """Else a view would be made anew for each change of its model, whatever it is about."""
    world.rows |= {pk: {"pk": pk, "shelf": 2} for pk in range(2, 20)}
    begun = begin(world)
    for pk in range(2, 10):
        world.save(pk, title="y")
    world.answer(begun[0], world.execute(begun[1]))
    for pk in range(10, 20):
        world.report(pk, "changed")
    world.jobs.clear()
    world.work()
    assert world.count(RenderJob) == 0
    assert world.count(MatchJob) >= 18


def test_what_came_after_the_view_is_nobodys_doubt(world, ids):
    begun = begin(world)
    world.answer(begun[0], world.execute(begun[1]))
    world.tick(1)
    world.jobs.clear()
    world.save(2, shelf=1)
    world.save(2, shelf=2)
    world.work()
    assert world.count(RenderJob) == 0


def test_who_is_answered_for_is_forgotten_in_favour_of_more_renderings(world, ids, monkeypatch):
    monkeypatch.setattr(glimpses, "MAX_ANSWERS", 2)
    (came, went), *answer = show_a_book_that_goes(world, "moved")
    world.answer(*answer)
    world.report(2, "created", came)
    world.work()
    for pk in range(10, 15):
        world.rows[pk] = {"pk": pk, "shelf": 2}
        world.report(pk, "changed")
        world.work()
    world.report(2, "changed", went)
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


def test_nothing_is_kept_of_what_no_rendering_can_have_read(world, ids):
    ticket, job = begin(world)
    world.save(2, shelf=1)
    world.save(2, shelf=2)
    world.work()
    kept = world.dispatch._glimpses
    assert list(kept._steps) == [("shop.book", 2)]
    world.answer(ticket, world.execute(job))
    world.work()
    assert kept._steps == {}
    world.save(3, shelf=1)
    world.save(3, shelf=2)
    world.work()
    assert kept._steps == {}


def hot(world, times):
    """A book of another shelf is saved again and again, and nobody's clock is exact."""
    world.dispatch._glimpses._margin = 0.1
    for _ in range(times):
        world.save(2, shelf=2)
        world.save(2, shelf=2)
        world.work()


def doubt(world):
    """A view was just made anew for a doubt: another one has to wait."""
    begun = begin(world)
    hot(world, 1)
    world.answer(begun[0], world.execute(begun[1]))
    world.work()


def test_what_is_saved_again_and_again_is_not_in_doubt_each_time(world, ids):
    doubt(world)
    world.jobs.clear()
    hot(world, 20)
    assert world.count(RenderJob) == 0
    for tick in range(1, 11):
        world.do(world.dispatch.tick())
        world.work()
        hot(world, 20)
        assert world.count(RenderJob) == tick // glimpses.DOUBT_TICKS


def test_meanwhile_nobody_is_told_to_have_had_everything(world, ids):
    doubt(world)
    before = world.log.head
    hot(world, 3)
    connection = world.dispatch.registry.get(ids[-1])
    assert connection.safe(world.dispatch.unsettled()) == before
    for _ in range(glimpses.DOUBT_TICKS):
        world.do(world.dispatch.tick())
        world.work()
    assert connection.safe(world.dispatch.unsettled()) == world.log.head


def test_who_waits_alone_when_a_doubt_is_due_is_not_held_back_for_ever(world, ids):
    doubt(world)
    hot(world, 3)
    # What has changed meanwhile is yet to be rendered.
    world.save(1, title="y")
    while not isinstance((begun := world.dispatch.next_job())[1], RenderJob):
        world.answer(begun[0], world.execute(begun[1]))
    world.save(1, title="z")
    while world.dispatch.matchings:
        ticket, job = world.dispatch.next_job()
        world.answer(ticket, world.execute(job))
    for _ in range(glimpses.DOUBT_TICKS):
        world.do(world.dispatch.tick())
    world.answer(begun[0], world.execute(begun[1]))
    world.work()
    for _ in range(glimpses.DOUBT_TICKS):
        world.do(world.dispatch.tick())
        world.work()
    for id in ids:
        connection = world.dispatch.registry.get(id)
        assert connection.safe(world.dispatch.unsettled()) == world.log.head


def test_who_joins_meanwhile_and_who_leaves(world, ids):
    doubt(world)
    hot(world, 3)
    world.connect("late", world.dispatch.registry.get(ids[0]).page, since=world.log.head)
    hot(world, 3)
    world.dispatch.disconnect(ids[0])
    for id in [*ids, "late"]:
        world.sent.pop(id, None)
    world.jobs.clear()
    for _ in range(glimpses.DOUBT_TICKS):
        world.do(world.dispatch.tick())
        world.work()
    assert world.count(RenderJob) == 1
    for id in [*ids[1:], "late"]:
        connection = world.dispatch.registry.get(id)
        assert connection.safe(world.dispatch.unsettled()) == world.log.head
        assert connection.owed == 0
        world.dispatch.disconnect(id)
    world.dispatch.disconnect("late")
    assert world.dispatch._glimpses._waiting == {}


def test_who_joins_meanwhile_and_was_told_where_it_stands_is_not_taken_back(world, ids):
    doubt(world)
    hot(world, 3)
    world.connect("late", world.dispatch.registry.get(ids[0]).page, since=world.log.head)
    for times in range(3):
        world.save(1, title=f"late {times}")
        world.work()
        hot(world, 3)
    for id in [*ids, "late"]:
        told = [each.meta["safe"] for each in world.sent[id]]
        assert told == sorted(told)
    assert world.sent["late"][0].meta["safe"] > world.sent[ids[0]][-1].meta["safe"]


def test_those_who_join_while_something_is_in_doubt_owe_nobody_more(world, ids, monkeypatch):
    monkeypatch.setattr(owing, "MAX_OWED", 0)
    monkeypatch.setattr(owing, "LEAST_OWED", 5)
    page = world.dispatch.registry.get(ids[0]).page
    for number in range(40):
        late = replace(page, time=world.clock, recorded=world.clock)
        world.connect(f"late {number}", late, since=world.log.head)
        world.save(1, title=str(number))
        world.work()
        hot(world, 1)
    assert len(world.dispatch._glimpses._waiting) == 1
    assert not any(world.refreshes(id) for id in world.sent)


def test_those_of_whom_no_view_ran_are_not_in_doubt(ids):
    world = Shelf(rows={pk: {"pk": pk, "shelf": pk} for pk in (1, 2, 8, 9)})
    world.reads["book"] = ()
    page = world.page(where(shelf=1), serializer=SHELF)
    for pk in (8, 9):
        own = dependency(where(pk=pk), serializer=SHELF)
        own_page = replace(page, user=str(pk), dependencies=(*page.dependencies, own))
        for id in ids:
            world.connect(f"{id} {pk}", own_page, since=world.log.head)
    world.tick(60)
    world.dispatch._glimpses._margin = 0.1
    world.report(8, "changed")
    world.work()
    world.jobs.clear()
    hot(world, 1)
    assert [job.page.user for job in world.jobs if isinstance(job, RenderJob)] == ["8"]


def test_pages_that_are_made_anew_all_the_time_are_in_doubt_no_more_often(world, ids):
    """A view whose condition is another each time, as where it has the time in it."""

    def render(job):
        world.tick()
        world.runs += 1
        condition = asking(shelf=1, run=None)
        condition = replace(condition, query=condition.query + " " * world.runs)
        page = replace(
            job.page,
            time=world.clock,
            recorded=world.clock,
            dependencies=(dependency(condition, serializer=SHELF, keys=(1,)),),
        )
        return RenderResult("done", str(world.runs), page=page)

    world.runs, world.render = 0, render
    begun = begin(world)
    world.answer(begun[0], world.execute(begun[1]))
    world.work()
    world.runs = 0
    hot(world, 50)
    assert world.runs <= 1


def test_an_answer_is_as_late_as_it_comes(world, ids):
    """Though nothing is logged in between by which the core could tell the time."""
    ticket, job = begin(world)
    world.tick(0.3)
    world.rows[2] = {"pk": 2, "shelf": 1}
    world.report(2, "created")
    shown_by_view = world.execute(job)
    asked = world.next_job(MatchJob)
    world.tick(0.5)
    world.rows[2] = {"pk": 2, "shelf": 2}
    went = world.clock
    world.tick(0.3)
    world.do(world.dispatch.answer(asked[0], world.execute(asked[1]), world.now))
    world.do(world.dispatch.answer(ticket, shown_by_view, world.now))
    world.work()
    world.report(2, "changed", went)
    world.work()
    assert [shown(world, id) for id in ids] == [[1]] * len(ids)


def test_the_clock_of_a_site_may_be_ahead():
    world = Shelf(rows={1: {"pk": 1, "shelf": 1}})
    world.dispatch = Dispatch(world.log, MODELS, margin=0.1, skew=1.0)
    world.behind = -0.5
    world.reads["book"] = ()
    world.tick(20)
    world.connect("one", world.page(where(shelf=1), serializer=SHELF), since=world.log.head)
    world.tick(60)
    ticket, job = begin(world)
    world.tick(0.3)
    world.rows[2] = {"pk": 2, "shelf": 1}
    world.report(2, "created")
    shown_by_view = world.execute(job)
    world.rows[2] = {"pk": 2, "shelf": 2}
    went = world.clock
    asked = world.next_job(MatchJob)
    world.do(world.dispatch.answer(asked[0], world.execute(asked[1]), world.now))
    world.do(world.dispatch.answer(ticket, shown_by_view, world.now))
    world.tick(0.7)
    world.report(2, "changed", went)
    world.work()
    assert shown(world, "one") == [1]


def test_what_no_view_can_have_read_is_forgotten_in_time(world, ids):
    ticket, _ = begin(world)
    for pk in range(10, 20):
        world.save(pk, shelf=2)
        world.save(pk, shelf=2)
    while not isinstance((found := world.dispatch.next_job())[1], RenderJob):
        world.answer(found[0], world.execute(found[1]))
        if world.dispatch.matchings == 0:
            break
    kept = world.dispatch._glimpses
    assert len(kept._steps) == 10
    world.do(world.dispatch.failed(ticket, "it died"))
    world.do(world.dispatch.tick())
    assert kept._steps == {}


def test_only_views_are_made_anew(ids):
    world = Shelf(rows={1: {"pk": 1, "shelf": 1}})
    world.reads["book"] = ()
    page = world.page(where(shelf=1), serializer=SHELF)
    beside = replace(page.dependencies[0], name="fields", serializer=FUNCTION)
    page = replace(page, dependencies=(*page.dependencies, beside))
    for id in ids:
        world.connect(id, page, since=world.log.head)
    world.tick(60)
    (came, went), *answer = show_a_book_that_goes(world, "moved")
    world.answer(*answer)
    world.report(2, "created", came)
    world.report(2, "changed", went)
    world.work()
    assert [event[1] for event in world.events(ids[0]) if event[2] == {"pk": 2}] == []
    assert shown(world, ids[0]) == [1]
    # What came and went is none of this page's: it is not named.
    assert {event[:2] for event in world.events(ids[0])} <= {("changed", 1), ("added", 1)}


def test_of_a_page_that_shows_nothing_the_last_that_went_is_named(world, ids):
    world.save(1, shelf=2)
    world.save(3, shelf=1)
    world.work()
    world.rows[3] = {"pk": 3, "shelf": 2}
    world.report(3, "changed")
    ticket, job = world.next_job(MatchJob)
    world.answer(ticket, world.execute(job))
    ticket, job = world.next_job(RenderJob)
    world.rows[2] = {"pk": 2, "shelf": 1}
    came = world.clock
    result = world.execute(job)
    world.tick()
    world.rows[2] = {"pk": 2, "shelf": 2}
    world.answer(ticket, result)
    world.report(2, "created", came)
    world.report(2, "changed")
    world.work()
    for id in ids:
        assert [event[0] for event in world.events(id)][-2:] == ["removed", "removed"]
        assert [event[1:] for event in world.events(id)][-2:] == [(3, [2]), (3, [])]
