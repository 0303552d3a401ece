"""A page that is made anew is brought over to what it depends on from then on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from serverpush.protocol import Change, Page, Serializer
from serverpush.results import RenderResult

from .world import World, asking, dependency, where

PAGE = dependency(
    where(pk=1), name="page", serializer=Serializer("view", "shop.views:page", reads_object=False)
)
ROW = dependency(
    where(pk=2), name="row", serializer=Serializer("function", "shop.views:row"), data='"eur"'
)


def joined(world, *dependencies):
    page = Page("/", time=world.now, recorded=world.now, dependencies=dependencies)
    world.tick(60)
    world.connect("one", page, since=world.log.head)


def begin(world):
    """The view begins to run again; the ticket of that."""
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    return ticket


def end(world, ticket, *dependencies, read):
    """It has read, and recorded its page, at ``read``: now its result is there."""
    page = Page("/", time=read, recorded=read, dependencies=dependencies)
    world.do(world.dispatch.answer(ticket, RenderResult("done", '"page"', page=page, reads=())))


@pytest.mark.parametrize(
    "other",
    [
        replace(ROW, data='"usd"'),
        replace(ROW, name="line"),
        replace(ROW, serializer=Serializer("function", "shop.views:other")),
    ],
    ids=["data", "name", "serializer"],
)
def test_an_update_that_is_another_of_the_same_instance(other):
    world = World(rows={1: {"pk": 1}, 2: {"pk": 2, "version": 0}})
    joined(world, PAGE, ROW)
    ticket = begin(world)
    read = world.clock
    world.tick(1)
    world.save(2, version=1)
    end(world, ticket, PAGE, other, read=read)
    world.render = lambda job: RenderResult("done", f'["{job.name}", {job.data}]')
    world.work()
    assert [event[2] for event in world.events("one")][1:] == [[other.name, other.data.strip('"')]]


def test_what_is_trimmed_before_the_view_is_done():
    world = World(rows={1: {"pk": 1}, 2: {"pk": 2, "version": 0}}, size=50)
    joined(world, PAGE)
    ticket = begin(world)
    read = world.clock
    world.tick(1)
    world.save(2, version=1)
    for number in range(60):
        world.tick()
        world.dispatch.changed(Change("shop.pen", number, "changed", world.clock), world.now)
    end(world, ticket, PAGE, ROW, read=read)
    world.work()
    assert world.refreshes("one") == ["history"]


class Orders(World):
    """The page of the orders that are open; its update function names these alone."""

    closing = None

    def render(self, job):
        payload = json.dumps(self.open())
        if self.closing is not None:
            pk, self.closing = self.closing, None
            self.save(pk, open=False)
        self.tick()
        page = replace(job.page, time=self.clock, recorded=self.clock, dependencies=self.updates())
        return RenderResult("done", payload, page=page, reads=())

    def open(self):
        return [pk for pk, row in sorted(self.rows.items()) if row["open"]]

    def updates(self):
        return tuple(replace(PAGE, condition=where(pk=pk)) for pk in self.open())


@pytest.mark.parametrize("ids", [("one",), ("one", "two")])
@pytest.mark.parametrize("left", [[], [2]])
def test_a_view_is_sent_though_its_page_has_the_update_no_longer(ids, left):
    world = Orders(rows={pk: {"pk": pk, "open": True} for pk in [1, *left]})
    world.reads["page"] = ()
    page = Page("/", time=world.now, recorded=world.now, dependencies=world.updates())
    world.tick(60)
    for id in ids:
        world.connect(id, page, since=world.log.head)
    # It is closed after the view has read, and before the update function has.
    world.closing = 1
    world.save(1, title="x")
    world.work()
    assert [world.events(id)[-1][2] for id in ids] == [left] * len(ids)


@pytest.mark.parametrize("condition", [where(shelf=1), asking(shelf=1)])
def test_a_page_lists_what_the_database_has_already_been_asked_about_too_late(condition):
    world = World(rows={1: {"pk": 1, "shelf": 1}})
    world.connect("one", world.page(condition), since=world.log.head)
    world.tick(60)
    world.rows[2] = {"pk": 2, "shelf": 1}
    world.report(2, "created")
    page = world.page(condition)
    assert page.dependencies[0].keys == (1, 2)
    world.tick(0.3)
    world.rows[2] = {"pk": 2, "shelf": 2}
    went = world.clock
    world.work()
    world.connect("new", page)
    world.work()
    world.tick(0.1)
    world.report(2, "changed", went)
    world.work()
    assert world.events("new")[-1][:2] == ("removed", 2)
