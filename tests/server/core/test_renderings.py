"""Renderings: whose turn it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serverpush.protocol import Serializer, Visitor

from .world import World, where

FUNCTION = Serializer("function", "shop.views:serialize")
VIEW = Serializer("view", "shop.views:book")
HOT = 50


@pytest.fixture
def world():
    return World(rows={1: {"pk": 1}, 2: {"pk": 2}})


def hot_page(world, pk=1, **options):
    """Many clients of one page, with a rendering of its own for each."""
    page = replace(world.page(where(pk=pk), **({"serializer": FUNCTION} | options)), path="/hot/")
    for number in range(HOT):
        world.connect(f"hot {number}", page, visitor=Visitor(cookie=f"sessionid={number}"))
    # So that it is known that each has one of its own.
    world.save(pk)
    world.work()
    world.sent.clear()
    world.jobs.clear()


def quiet_page(world, pk=2, path="/quiet/", **options):
    page = world.page(where(pk=pk), **({"serializer": FUNCTION} | options))
    world.connect("quiet", replace(page, path=path))


def jobs_until_quiet(world):
    """How many renderings are made until the quiet page has its event, that one included."""
    for count in range(1, 2 * HOT):
        ticket, job = world.dispatch.next_job()
        world.do(world.dispatch.answer(ticket, world.execute(job)))
        if world.events("quiet"):
            return count
    raise AssertionError("the quiet page has no event")


def test_a_page_with_one_rendering_is_next_beside_another_update_with_many(world):
    hot_page(world, name="hot")
    quiet_page(world)
    world.save(1)
    world.save(2)
    assert jobs_until_quiet(world) == 2


def test_so_it_is_beside_another_page_with_the_same_update(world):
    hot_page(world)
    quiet_page(world, pk=1)
    world.save(1)
    assert jobs_until_quiet(world) == 2


def test_so_it_is_beside_another_serializer_of_the_same_name(world):
    hot_page(world)
    quiet_page(world, pk=1, path="/hot/", serializer=VIEW)
    world.save(1)
    assert jobs_until_quiet(world) == 2


def test_so_it_is_beside_another_instance_on_the_same_page(world):
    hot_page(world)
    quiet_page(world, path="/hot/")
    world.save(1)
    world.save(2)
    assert jobs_until_quiet(world) == 2


def test_a_page_that_is_saved_again_and_again_does_not_go_before_others(world):
    hot_page(world)
    quiet_page(world)
    world.save(1)
    for _ in range(5):
        ticket, job = world.dispatch.next_job()
        world.do(world.dispatch.answer(ticket, world.execute(job)))
        world.save(1)
    world.save(2)
    assert jobs_until_quiet(world) <= 2


def test_on_one_page_it_is_first_come_first_served(world):
    hot_page(world)
    world.save(1)
    world.work()
    assert [job.visitor.cookie for job in world.jobs] == [f"sessionid={n}" for n in range(HOT)]


def test_a_rendering_waits_for_its_own_run_and_keeps_its_flow(world):
    hot_page(world)
    world.save(1)
    ticket, job = world.dispatch.next_job()
    world.save(1)
    # What runs is not begun again; what waits has folded.
    assert world.dispatch.renderings == HOT - 1
    world.do(world.dispatch.answer(ticket, world.execute(job)))
    assert world.dispatch.renderings == HOT
    world.work()
    assert world.dispatch.renderings == 0
