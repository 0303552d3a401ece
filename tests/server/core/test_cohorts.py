"""What a change owes to many that are alike is noted once, and each gets what is its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serverpush.protocol import Position, Serializer, Visitor
from serverpush.server.core import owing
from serverpush.server.core.actions import Send

from .world import FOLLOWING, World, dependency, where

FUNCTION = Serializer("function", "shop.views:serialize")


@pytest.fixture
def world():
    return World(rows={1: {"pk": 1, "version": 0}, 2: {"pk": 2, "version": 0}})


@pytest.fixture
def page(world):
    return world.page(where())


def join(world, page, count, begin=0):
    for number in range(begin, begin + count):
        world.connect(f"client {number}", page, visitor=Visitor(f"sessionid={number}"))


def cohort_of(world, id="client 0"):
    return world.dispatch.registry.get(id).cohort


def ids_and_safes(world, id):
    sends = [each for each in world.sent.get(id, []) if isinstance(each, Send)]
    return [(each.meta["id"].partition(".")[0], each.meta["safe"]) for each in sends]


def safe(world, id):
    return world.dispatch.registry.get(id).safe(world.dispatch.unsettled())


def test_it_is_noted_once_however_many_there_are(world, page):
    join(world, page, 1000)
    cohort = cohort_of(world)
    assert len(cohort.members) == 1000
    world.save(1)
    world.save(2)
    world.save(1)
    assert len(cohort.audiences) == 2
    assert all(len(each.floors) == 0 for each in cohort.members)
    assert safe(world, "client 7") < world.log.head
    world.work()
    assert not cohort.audiences
    assert len(world.events("client 999")) == 2
    assert safe(world, "client 999") == world.log.head


def test_pages_that_depend_on_the_same_are_one_cohort_and_others_are_not(world):
    page = world.page(where(pk=1), where(pk=2))
    world.connect("one", page)
    world.connect("alike", replace(page, path="/other/"), visitor=Visitor("a=1"))
    others = {
        "order": replace(page, dependencies=page.dependencies[::-1]),
        "fewer": replace(page, dependencies=page.dependencies[:1]),
        "session": replace(page, session="hash"),
        "user": replace(page, user="7"),
        "language": replace(page, language="de"),
        "zone": replace(page, zone="Europe/Berlin"),
        "host": replace(page, host="other"),
        "secure": replace(page, secure=True),
        "script": replace(page, script="/app"),
        "data": world.page(where(pk=1), where(pk=2), data='"other"'),
        "vary": world.page(where(pk=1), where(pk=2), vary='"x"'),
        "vary elsewhere": replace(world.page(where(pk=1), where(pk=2), vary='"x"'), path="/o/"),
    }
    for name, other in others.items():
        world.connect(name, other)
    cohorts = {cohort_of(world, name) for name in ("one", *others)}
    assert len(cohorts) == 1 + len(others)
    assert cohort_of(world, "alike") is cohort_of(world, "one")


def test_who_joins_while_it_waits_is_owed_no_more_than_what_came_since(world, page):
    join(world, page, 2)
    world.save(1, version=1)
    late = world.page(where())
    world.connect("late", late, since=world.log.head)
    assert safe(world, "late") == world.log.head
    assert world.dispatch.registry.get("late").owed == 0
    world.save(1, version=2)
    world.save(2, version=1)
    world.work()
    for id in ("client 0", "client 1", "late"):
        assert [event[1:] for event in world.events(id)] == [
            (1, {"pk": 1, "version": 2}),
            (2, {"pk": 2, "version": 1}),
        ]
        assert safe(world, id) == world.log.head


def test_who_joins_while_it_is_rendered_does_not_get_it(world, page):
    join(world, page, 2)
    world.save(1)
    ticket, job = world.dispatch.next_job()
    late = world.page(where())
    world.connect("late", late)
    world.do(world.dispatch.answer(ticket, world.execute(job)))
    assert [len(world.events(id)) for id in ("client 0", "client 1", "late")] == [1, 1, 0]


def test_who_leaves_while_it_waits_is_not_missed(world, page):
    join(world, page, 3)
    world.save(1)
    world.dispatch.disconnect("client 0")
    world.work()
    assert len(world.events("client 1")) == len(world.events("client 2")) == 1
    assert not world.events("client 0")
    for number in (1, 2):
        world.dispatch.disconnect(f"client {number}")
    assert len(world.dispatch.index) == 0
    assert len(world.dispatch._following._cohorts) == 0


def test_when_all_have_left_nothing_is_rendered(world, page):
    join(world, page, 3)
    world.save(1)
    for number in range(3):
        world.dispatch.disconnect(f"client {number}")
    assert world.dispatch.next_job() is None
    assert world.dispatch.renderings == 0


def test_a_page_that_may_show_it_already_has_its_own_word_for_it(world):
    """It may have been rendered while the row was created: what it asks for is its doubt."""
    join(world, world.page(where(), on=("changed",)), 2)
    world.tick(10)
    young = world.page(where(), on=("changed",))
    world.connect("young", young, since=world.log.head)
    world.rows[3] = {"pk": 3}
    world.report(3, "created", at=young.recorded)
    world.work()
    assert [event[0] for event in world.events("young")] == ["changed"]
    assert not world.events("client 0")


def test_who_comes_back_gets_what_it_missed_and_what_is_new_as_one(world, page):
    join(world, page, 3)
    world.save(1, version=1)
    world.work()
    world.sent.clear()
    before = Position.parse(str(world.log.head))
    world.dispatch.disconnect("client 0")
    world.save(1, version=2)
    world.connect("client 0", page, since=before)
    world.save(1, version=3)
    world.work()
    events = [world.events(f"client {number}") for number in range(3)]
    assert events == [[("changed", 1, {"pk": 1, "version": 3})]] * 3
    assert all(ids_and_safes(world, f"client {n}")[-1][1] == str(world.log.head) for n in range(3))


def test_who_is_brought_over_after_the_others_were_owed_it_gets_it_once(world):
    page = world.page(where(version=0))
    join(world, page, 3)
    before = world.log.head
    world.dispatch.disconnect("client 0")
    world.save(1, title="x")
    world.connect("client 0", page, since=before)
    # One answer is for those who were there, and for the one who came back.
    world.work()
    assert [len(world.events(f"client {number}")) for number in range(3)] == [1, 1, 1]


def test_who_left_a_cohort_is_still_held_back_by_what_it_owes(world):
    world.rows[1]["shelf"] = 2
    other = dependency(where(pk=2), name="other")
    page = replace(world.page(), dependencies=(*world.followed(), other))
    world.followed = lambda: page.dependencies[1:]
    for number in range(2):
        world.connect(f"client {number}", page, visitor=Visitor("a=1"))
    before = world.log.head
    world.save(2, version=5)
    jobs = []
    while (found := world.dispatch.next_job()) is not None:
        jobs.append(found)
    (view,) = [each for each in jobs if each[1].serializer == FOLLOWING]
    (fields,) = [each for each in jobs if each[1].serializer != FOLLOWING]
    world.do(world.dispatch.answer(view[0], world.execute(view[1])))
    assert [safe(world, f"client {number}") for number in range(2)] == [before, before]
    world.do(world.dispatch.answer(fields[0], world.execute(fields[1])))
    assert safe(world, "client 0") == safe(world, "client 1") == world.log.head
    assert [each.name for each in world.sent["client 1"]] == ["page", "other"]
    assert world.sent["client 1"][0].meta["safe"] == str(before)


def test_those_who_have_too_much_coming_are_told_together(world, page, monkeypatch):
    monkeypatch.setattr(owing, "MAX_OWED", 10)
    monkeypatch.setattr(owing, "LEAST_OWED", 5)
    join(world, page, 3)
    for pk in range(10, 20):
        world.save(pk)
    world.do(world.dispatch.tick())
    assert [world.refreshes(f"client {number}") for number in range(3)] == [["history"]] * 3
    world.work()
    world.do(world.dispatch.tick())
    world.sent.clear()
    world.save(1)
    world.work()
    assert [len(world.events(f"client {number}")) for number in range(3)] == [1, 1, 1]


def test_who_reads_another_value_is_owed_it_by_itself(world):
    page = world.page(where(pk=1), serializer=FUNCTION)
    world.reads["book"] = ("cookie:a",)
    for number in range(4):
        world.connect(f"client {number}", page, visitor=Visitor("a=1" if number else "a=2"))
    for version in range(3):
        world.save(1, version=version)
        world.work()
    assert [len(world.events(f"client {number}")) for number in range(4)] == [3] * 4
    # When it has gone the others have all the same, and wait as one.
    world.dispatch.disconnect("client 0")
    world.save(1, version=3)
    assert len(cohort_of(world, "client 1").audiences) == 1
    world.work()
    assert [len(world.events(f"client {number}")) for number in range(4)] == [3, 4, 4, 4]
