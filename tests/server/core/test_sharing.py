"""Who shares a rendering is found out by what it reads, and nobody gets another's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serverpush.jobs import RenderJob
from serverpush.protocol import Page, Serializer, Visitor
from serverpush.results import RenderResult
from serverpush.server.core.actions import Send

from .world import World, where

FUNCTION = Serializer("function", "shop.views:serialize")


@pytest.fixture
def world():
    return World(rows={1: {"pk": 1}, 2: {"pk": 2}})


def join(world, count, *, page=None, **visitor):
    """Clients with a cookie each; ``visitor`` is what they have in common."""
    page = page or world.page(where(pk=1), serializer=FUNCTION)
    for number in range(count):
        cookie = visitor.get("cookie", f"sessionid={number}")
        world.connect(f"client {number}", page, visitor=Visitor(cookie, **visitor.get("more", {})))


def renderings(world):
    """How many there are until nobody is owed anything."""
    before = world.count(RenderJob)
    world.work()
    return world.count(RenderJob) - before


@pytest.mark.parametrize("count", [1, 1000])
def test_who_reads_nothing_is_rendered_once_for_all(world, count):
    world.reads["book"] = ()
    join(world, count)
    for _ in range(3):
        world.save(1)
        assert renderings(world) == 1
    assert all(len(world.events(f"client {number}")) == 3 for number in range(count))


def test_who_reads_the_session_is_rendered_for_each(world):
    world.reads["book"] = ("cookie:sessionid",)
    join(world, 10)
    world.save(1)
    assert renderings(world) == 10
    world.save(1)
    assert renderings(world) == 10


def test_the_tabs_of_one_browser_share(world):
    world.reads["book"] = ("cookie:sessionid",)
    for number in range(10):
        visitor = Visitor(f"a={number}; sessionid={number % 2}", user_agent=str(number))
        world.connect(
            f"tab {number}", world.page(where(pk=1), serializer=FUNCTION), visitor=visitor
        )
    world.save(1)
    assert renderings(world) == 2


def test_pages_of_other_paths_share_what_does_not_read_them(world):
    page = world.page(where(pk=1), serializer=FUNCTION)
    for number in range(10):
        world.connect(f"page {number}", replace(page, path=f"/{number}/"))
    world.reads["book"] = ()
    world.save(1)
    assert renderings(world) == 1
    world.reads["book"] = ("path",)
    world.save(1)
    assert renderings(world) == 10


@pytest.mark.parametrize(
    "page",
    [
        {"host": "other"},
        {"secure": True},
        {"script": "/other"},
        {"language": "de"},
        {"zone": "Europe/Berlin"},
        {"session": "hash"},
        {"user": "7"},
    ],
)
def test_what_is_never_shared(world, page):
    world.reads["book"] = ()
    one = world.page(where(pk=1), serializer=FUNCTION)
    world.connect("one", one)
    world.connect("other", replace(one, **page))
    world.save(1)
    assert renderings(world) == 2


def test_what_is_known_of_an_update_holds_for_its_other_instances(world):
    world.reads["book"] = ("cookies",)
    page = world.page(where(), serializer=FUNCTION)
    join(world, 5, page=page)
    world.save(1)
    world.work()
    world.save(2)
    # Several renderers can have them at once.
    assert [world.dispatch.next_job() is not None for _ in range(6)] == [True] * 5 + [False]


def test_what_began_when_less_was_known_ends_before_more_begins(world):
    world.reads["book"] = ("cookies",)
    join(world, 2, page=world.page(where(), serializer=FUNCTION))
    world.save(1)
    first = world.dispatch.next_job()
    world.save(2)
    second = world.dispatch.next_job()
    # By this it is known that each has one of its own.
    world.do(world.dispatch.answer(second[0], world.execute(second[1])))
    world.save(1, title="newer")
    world.work()
    assert [event[1] for event in world.events("client 0")] == [2], "of 1 one is under way"
    world.do(world.dispatch.answer(first[0], RenderResult("done", '"older"', reads=("cookies",))))
    world.work()
    titles = [event[2] for event in world.events("client 0") if event[1] == 1]
    assert titles == ["older", {"pk": 1, "title": "newer"}]
    assert [event[2] for event in world.events("client 1") if event[1] == 1] == titles[1:]


def test_one_who_is_refused_is_refused_alone(world):
    world.reads["book"] = ("cookie:sessionid",)
    join(world, 3)
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    refused = RenderResult("refused", reads=("cookie:sessionid",))
    world.do(world.dispatch.answer(ticket, refused))
    world.work()
    assert [world.refreshes(f"client {number}") for number in range(3)] == [["access"], [], []]
    assert len(world.events("client 1")) == 1


def test_one_for_whom_it_fails_fails_alone(world):
    world.reads["book"] = ("cookie:sessionid",)
    join(world, 3)
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    failed = RenderResult("failed", error="no luck", reads=("cookie:sessionid",))
    world.do(world.dispatch.answer(ticket, failed))
    world.work()
    assert [world.refreshes(f"client {number}") for number in range(3)] == [["error"], [], []]


def test_cookies_that_are_sent_twice_are_compared_whole(world):
    world.reads["book"] = ("cookie:a",)
    for id, cookie in (("one", "a=1; a=2"), ("other", "a=2"), ("third", "b=1; a=1;a=2")):
        world.connect(id, world.page(where(pk=1), serializer=FUNCTION), visitor=Visitor(cookie))
    world.save(1)
    assert renderings(world) == 2


# Whatever a serializer reads

COOKIES = ["", "a=1", "a=2", "a=1; b=1", "a=2; b=1"]


class Request:
    """What a serializer sees, and what it has read of that."""

    def __init__(self, page: Page, visitor: Visitor) -> None:
        self.page, self.visitor = page, visitor
        self.reads: set[str] = set()

    def cookie(self, name: str) -> str | None:
        self.reads.add(f"cookie:{name}")
        pairs = (each.strip().partition("=") for each in self.visitor.cookie.split(";"))
        return {key: value for key, _, value in pairs}.get(name)

    def path(self) -> str:
        self.reads.add("path")
        return self.page.path

    def query(self) -> str:
        self.reads.add("query")
        return self.page.query


def nothing(request: Request) -> list[Any]:
    return []


def by_cookie(request: Request) -> list[Any]:
    return [request.cookie("a")]


def by_path_for_some(request: Request) -> list[Any]:
    return [request.path()] if request.cookie("a") == "1" else []


def by_much(request: Request) -> list[Any]:
    return [request.query(), request.cookie("b"), request.path()]


def fails_for_some(request: Request) -> list[Any] | None:
    return None if request.cookie("a") == "2" else [request.query()]


SERIALIZERS = [nothing, by_cookie, by_path_for_some, by_much, fails_for_some]


class Sharing(RuleBasedStateMachine):
    """Each client gets what would have been rendered for itself, in order, and the last."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(rows={1: {"pk": 1, "version": 0}})
        self.serializer = nothing
        self.version = self.count = 0
        self.running: list[tuple[Any, RenderJob, Any, int]] = []
        self.clients: dict[str, tuple[Page, Visitor]] = {}
        # By client: the last version that it shows, or has been told to load.
        self.shown: dict[str, int] = {}

    @rule(cookie=st.sampled_from(COOKIES), path=st.sampled_from("xy"), query=st.sampled_from("pq"))
    def connect(self, cookie: str, path: str, query: str) -> None:
        self.count += 1
        page = self.world.page(where(pk=1), serializer=FUNCTION)
        page, visitor = replace(page, path=path, query=query), Visitor(cookie)
        id = f"client {self.count}"
        self.world.connect(id, page, visitor=visitor)
        self.clients[id] = page, visitor
        self.shown[id] = self.version

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.clients)))
        self.world.dispatch.disconnect(id)
        del self.clients[id], self.shown[id]

    @rule()
    def save(self) -> None:
        self.version += 1
        self.world.save(1, version=self.version)

    @rule(serializer=st.sampled_from(SERIALIZERS))
    def deploy(self, serializer: Any) -> None:
        self.serializer = serializer

    @rule()
    def take(self) -> None:
        found = self.world.dispatch.next_job()
        if found is not None:
            # It reads the row when it begins.
            self.running.append((*found, self.serializer, self.version))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        ticket, job, serializer, version = self.running.pop(place)
        request = Request(job.page, job.visitor)
        found = serializer(request)
        reads = tuple(sorted(request.reads))
        if found is None:
            result = RenderResult("failed", error="no luck", reads=reads)
        else:
            result = RenderResult("done", json.dumps([version, *found]), reads=reads)
        for action in self.world.dispatch.answer(ticket, result):
            for id in getattr(action, "connections", ()):
                own = serializer(Request(*self.clients[id]))
                if isinstance(action, Send):
                    assert json.loads(action.payload) == [version, *own], "another's"
                    assert version >= self.shown[id], "an older one"
                    self.shown[id] = version
                else:
                    assert own is None, "another's failure"
                    self.shown[id] = self.version

    @invariant()
    def nobody_is_rendered_for_twice_at_once(self) -> None:
        ids = [each.connection.id for ticket, *_ in self.running for each in ticket.owed]
        assert len(ids) == len(set(ids))

    def teardown(self) -> None:
        for _ in range(1000):
            self.take()
            if not self.running:
                break
            self.answer(_First())
        assert not self.running
        for id, shown in self.shown.items():
            assert shown == self.version, (id, shown, self.version)


class _First:
    """Draws the first of whatever it is."""

    def draw(self, strategy: Any) -> int:
        return 0


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
