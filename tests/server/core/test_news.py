"""A result that is the same as the last one is not sent again, and no other is kept back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from serverpush.protocol import Gap, Serializer, Visitor
from serverpush.results import RenderResult
from serverpush.server.core import profiles, told

from .world import FOLLOWING, World, dependency, where

FUNCTION = Serializer("function", "shop.views:serialize")


@pytest.fixture
def world():
    return World(rows={1: {"pk": 1, "title": ""}, 2: {"pk": 2, "title": ""}})


def join(world, *ids, **options):
    page = world.page(where(), **options)
    for id in ids:
        world.connect(id, page, since=world.log.head, visitor=Visitor(f"a={id}"))


def counts(world, *ids):
    return [len(world.events(id)) for id in ids]


def save(world, title, pk=1):
    world.save(pk, title=title)
    world.work()


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
def test_what_is_the_same_is_sent_once(world, ids):
    join(world, *ids)
    for title in ("a", "a", "a", "b", "b", "a"):
        save(world, title)
    for id in ids:
        assert [event[2]["title"] for event in world.events(id)] == ["a", "b", "a"]
    # They are told in time how far they have been brought.
    assert world.dispatch.registry.get("one").safe(world.log.head) == world.log.head


def test_what_a_page_shows_from_the_beginning_is_not_known(world):
    save(world, "a")
    join(world, "one")
    save(world, "a")
    assert counts(world, "one") == [1]


def test_who_joins_later_gets_what_the_others_have(world):
    join(world, "one", "two")
    save(world, "a")
    join(world, "late", "later")
    save(world, "a")
    assert counts(world, "one", "two", "late", "later") == [1, 1, 1, 1]
    save(world, "a")
    assert counts(world, "one", "two", "late", "later") == [1, 1, 1, 1]


def total(world):
    """Payloads that say of each instance what all of them are together."""

    def render(job):
        return RenderResult("done", json.dumps(sum(row["n"] for row in world.rows.values())))

    world.render, world.reads["book"] = render, ()
    world.rows = {pk: {"pk": pk, "n": 5} for pk in (1, 2)}


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
def test_what_was_said_of_another_instance_since_may_have_taken_its_place(world, ids):
    total(world)
    join(world, *ids, serializer=FUNCTION)
    for pk, n in ((1, 6), (2, 6), (1, 5), (1, 5)):
        world.save(pk, n=n)
        world.work()
    assert [event[1:] for event in world.events(ids[-1])] == [(1, 11), (2, 12), (1, 11)]


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
@pytest.mark.parametrize("names", [("page", "page"), ("page", "other")])
def test_what_another_update_said_since_may_have_taken_its_place(world, ids, names):
    total(world)
    updates = [
        dependency(where(pk=pk), name=name, serializer=FOLLOWING)
        for pk, name in zip((1, 2), names, strict=True)
    ]
    page = replace(world.page(), dependencies=tuple(updates))
    for id in ids:
        world.connect(id, page, since=world.log.head)
    for pk, n in ((1, 6), (2, 6), (1, 5)):
        world.save(pk, n=n)
        world.work()
    assert [event[2] for event in world.events(ids[-1])] == [11, 12, 11]


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
def test_updates_of_other_names_are_apart(world, ids):
    updates = [dependency(where(), name=name, serializer=FUNCTION) for name in ("one", "two")]
    page = replace(world.page(), dependencies=tuple(updates))
    for id in ids:
        world.connect(id, page, since=world.log.head)
    for title in ("a", "a", "a"):
        save(world, title)
    assert counts(world, *ids) == [2] * len(ids)


@pytest.mark.parametrize("forgotten", ["removed", "refresh"])
def test_what_was_said_together_since_counts_though_it_is_forgotten(world, forgotten):
    join(world, "one")
    save(world, "a")
    join(world, "two")
    save(world, "b")
    if forgotten == "removed":
        world.delete(2)
        world.work()
    else:
        world.dispatch.untell(["two"])
    world.dispatch.disconnect("two")
    save(world, "a")
    assert world.events("one")[-1] == ("changed", 1, {"pk": 1, "title": "a"})


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
def test_a_page_as_a_whole_is_the_same_whatever_an_instance_did(world, ids):
    total(world)
    page = world.page(where(n=5), serializer=FOLLOWING)
    for id in ids:
        world.connect(id, page, since=world.log.head)
    world.save(1, n=5)
    world.work()
    world.save(3, n=0)
    world.save(3, n=5)
    world.save(1, n=0)
    world.work()
    assert [event[2] for event in world.events(ids[-1])] == [10]


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
@pytest.mark.parametrize(
    "bare", ["{}", "[]", "null", "true", '""', "1", '"1"', '{"pk": 1}', '{"id": "1", "more": []}']
)
def test_what_says_no_more_than_which_instance_it_is_of_is_said_each_time(world, ids, bare):
    world.reads["book"] = ()
    world.renders["book"] = RenderResult("done", bare)
    join(world, *ids)
    for title in ("a", "b", "c"):
        save(world, title)
    assert counts(world, *ids) == [3] * len(ids)


@pytest.mark.parametrize("said", ["2", "false", "0", '{"pk": 1, "title": "a"}', f'"{"1" * 300}"'])
def test_what_says_more_is_said_once(world, said):
    world.renders["book"] = RenderResult("done", said)
    join(world, "one")
    for title in ("a", "b", "c"):
        save(world, title)
    assert counts(world, "one") == [1]


@pytest.mark.parametrize("ids", [("one",), ("one", "two", "three")])
@pytest.mark.parametrize("lost", ["failed", "gap"])
def test_who_was_told_to_refresh_may_show_something_else_by_now(world, ids, lost):
    join(world, *ids)
    save(world, "a")
    if lost == "failed":
        world.renders["book"] = RenderResult("failed", error="it raised")
        save(world, "b")
        del world.renders["book"]
    else:
        world.rows[1]["title"] = "b"
        world.tick()
        world.do(world.dispatch.gap(Gap("lost"), world.now))
    assert all(world.refreshes(id) for id in ids)
    # They stay connected, and have fetched what there is.
    save(world, "a")
    assert counts(world, *ids) == [2] * len(ids)


def test_another_word_for_it_is_news(world):
    page = world.page(where(title="a"))
    for id in ("one", "two"):
        world.connect(id, page, since=world.log.head)
    for title in ("a", "b", "a"):
        save(world, title)
    assert [event[0] for event in world.events("one")] == ["added", "removed", "added"]
    world.delete(1)
    world.work()
    world.rows[1] = {"pk": 1, "title": "a"}
    world.report(1, "created")
    world.work()
    assert [event[0] for event in world.events("two")][3:] == ["removed", "added"]


def test_who_heard_something_else_by_itself_is_told_again(world):
    """The cohort's last word holds only for those who have heard no other since."""
    join(world, "one", "two", "three", serializer=FUNCTION)
    world.reads["book"] = ()
    save(world, "a")
    # One of them differs for a while.
    world.reads["book"] = ("cookie:a",)
    world.save(1, title="b")
    world.work()
    assert counts(world, "one", "two", "three") == [2, 2, 2]
    world.reads["book"] = ()
    for number in range(profiles.KEPT):
        save(world, str(number), pk=2)
    world.sent.clear()
    save(world, "a")
    assert counts(world, "one", "two", "three") == [1, 1, 1]


def test_who_comes_back_is_another(world):
    join(world, "one", "two")
    save(world, "a")
    page = world.dispatch.registry.get("one").page
    since = world.log.head
    world.dispatch.disconnect("one")
    world.connect("one", page, since=since)
    save(world, "a")
    assert counts(world, "one", "two") == [2, 1]


def test_what_is_replayed_may_be_let_be_and_says_nothing(world):
    """Its id may be known to the client, which then does not look at what it brings."""
    join(world, "one")
    before = world.log.head
    save(world, "a")
    page = world.dispatch.registry.get("one").page
    world.dispatch.disconnect("one")
    world.rows[1]["title"] = "b"
    world.connect("one", page, since=before)
    world.work()
    replayed, event = world.sent["one"][-1], world.sent["one"][0]
    assert replayed.meta["id"] == event.meta["id"]
    assert '"b"' in replayed.payload
    save(world, "b")
    assert [event[2]["title"] for event in world.events("one")] == ["a", "b", "b"]


def test_a_page_of_one_session_hears_once(world):
    page = replace(world.page(where(), serializer=FUNCTION), session="hash")
    world.connect("one", page, since=world.log.head)
    for title in ("a", "a", "b", "b"):
        save(world, title)
    assert [event[2]["title"] for event in world.events("one")] == ["a", "b"]


def test_no_more_is_remembered_than_fits(world, monkeypatch):
    monkeypatch.setattr(told, "MAX_NAMES", 2)
    updates = [dependency(where(), name=name, serializer=FUNCTION) for name in "abc"]
    page = replace(world.page(), dependencies=tuple(updates))
    for id in ("one", "two"):
        world.connect(id, page, since=world.log.head)
    save(world, "a")
    assert len(world.dispatch.registry.get("one").cohort.told._words) == 2


def test_who_was_told_apart_from_the_others_is_told_again(world):
    join(world, "one", "two")
    save(world, "a")
    page = world.dispatch.registry.get("one").page
    world.rows[1]["title"] = "b"
    # Committed while the pages were rendered, as far as anybody knows: each is owed it alone.
    world.report(1, "changed", at=page.recorded)
    world.work()
    save(world, "a")
    for id in ("one", "two"):
        assert [event[2]["title"] for event in world.events(id)] == ["a", "b", "a"]


def test_a_page_that_follows_other_things_now_hears_of_it(world):
    view = Serializer("view", "shop.views:page", reads_object=False)
    page = world.page(where(pk=1), serializer=view)
    more = replace(page, dependencies=world.page(where(), serializer=view).dependencies)
    for id in ("one", "two"):
        world.connect(id, page, since=world.log.head)
    for found in (page, page, more):
        world.report(1, "changed")
        ticket, _ = world.dispatch.next_job()
        result = RenderResult("done", '"the same"', page=found, reads=())
        world.do(world.dispatch.answer(ticket, result))
    for id in ("one", "two"):
        assert [send.page is not None for send in world.sent[id]] == [False, True]


def test_what_comes_again_is_news_though_nobody_was_told_that_it_went(world):
    page = world.page(where(title="a"), on=("added",))
    for id in ("one", "two"):
        world.connect(id, page, since=world.log.head)
    for title in ("a", "b", "a"):
        save(world, title)
    assert [event[0] for event in world.events("one")] == ["added", "added"]
