"""A page that is made anew is brought over to what it depends on from then on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serverpush.protocol import Change, Page, Serializer
from serverpush.results import RenderResult

from .world import World, dependency, where

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
