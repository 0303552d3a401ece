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
from serverpush.server.core import profiles
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
    for version in range(3):
        world.save(1, version=version)
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


def test_one_for_whom_there_is_no_such_instance_is_told_alone(world):
    world.reads["book"] = ("cookie:sessionid",)
    join(world, 3)
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    gone = RenderResult("gone", reads=("cookie:sessionid",))
    world.do(world.dispatch.answer(ticket, gone))
    world.work()
    told = [world.events(f"client {number}")[0][0] for number in range(3)]
    assert told == ["removed", "changed", "changed"]


def test_one_that_has_no_result_fails_alone(world):
    world.reads["book"] = ()
    join(world, 3)
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    world.do(world.dispatch.failed(ticket, "its renderer took too long"))
    # Of what it would have read nothing is known; the others may have better luck.
    assert renderings(world) == 1
    assert [world.refreshes(f"client {number}") for number in range(3)] == [["error"], [], []]


def test_where_two_in_a_row_have_no_result_the_others_do_not_wait_for_theirs(world):
    world.reads["book"] = ()
    join(world, 5)
    world.save(1)
    for _ in range(2):
        ticket, _job = world.dispatch.next_job()
        world.do(world.dispatch.failed(ticket, "its renderer took too long"))
    assert world.dispatch.next_job() is None
    assert [world.refreshes(f"client {number}") for number in range(5)] == [["error"]] * 5


def test_one_who_is_refused_tells_nothing_of_what_the_others_read(world):
    world.reads["book"] = ()
    join(world, 10)
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    world.do(world.dispatch.answer(ticket, RenderResult("refused")))
    assert renderings(world) == 1
    assert [len(world.events(f"client {number}")) for number in range(10)] == [0] + [1] * 9


def test_of_two_changes_of_a_page_the_later_says_what_it_is_about(world):
    view = Serializer("view", "shop.views:page", reads_object=False)
    page = world.page(where(), serializer=view)
    for number in range(2):
        world.connect(f"client {number}", page, visitor=Visitor(f"sessionid={number}"))
    world.save(1)
    ticket, _ = world.dispatch.next_job()
    world.delete(2)
    reads = ("cookie:sessionid",)
    world.do(world.dispatch.answer(ticket, RenderResult("done", '"one"', reads=reads)))
    while (found := world.dispatch.next_job()) is not None:
        world.do(world.dispatch.answer(found[0], RenderResult("done", '"two"', reads=reads)))
    told = [world.events(f"client {number}")[-1][:2] for number in range(2)]
    assert told == [("removed", 2), ("removed", 2)]


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ("a=x", "b=1; a=x", True),
        ("a\xa0=x", "a=x", False),
        ("a=\xc3\xa9", "a=\xc3\xa8", False),
        ("a=\xff", "a=\xff; b=1", True),
        ("a=\u0142", "a=\u0144", False),
        ("a=1; a=2", "a=2", False),
    ],
)
def test_cookies_are_compared_as_django_reads_them(world, one, other, is_shared):
    world.reads["book"] = ("cookie:a",)
    page = world.page(where(pk=1), serializer=FUNCTION)
    for id, cookie in (("one", one), ("other", other)):
        world.connect(id, page, visitor=Visitor(cookie))
    world.save(1)
    assert renderings(world) == 2 - is_shared


def test_what_renderings_read_now_and_then_is_expected_for_a_while(world):
    page = world.page(where(pk=1), serializer=FUNCTION)
    for number in range(2):
        world.connect(f"{number}", page, visitor=Visitor(f"a={number}"))
    world.reads["book"] = ("cookie:a",)
    world.save(1)
    assert renderings(world) == 2
    world.reads["book"] = ()
    found = []
    for _ in range(profiles.KEPT):
        world.save(1)
        found.append(renderings(world))
    assert (found[0], found[-1]) == (2, 1)
    assert sorted(found, reverse=True) == found


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


PAGES = {
    "one": ([where(pk=1)], FUNCTION),
    "all": ([where()], FUNCTION),
    "view": ([where(pk=1), where(pk=2)], Serializer("view", "shop.views:v", reads_object=False)),
}


class Sharing(RuleBasedStateMachine):
    """Each client gets what would have been rendered for itself, in order, and the last."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(rows={1: {"pk": 1}, 2: {"pk": 2}})
        self.serializer = nothing
        # By row, and by None of the page as a whole: its last version.
        self.versions: dict[int | None, int] = {1: 0, 2: 0, None: 0}
        self.count = 0
        self.running: list[tuple[Any, RenderJob, Any, int]] = []
        self.clients: dict[str, tuple[Page, Visitor]] = {}
        # By client: the last versions that it was sent, and those that it was told to load.
        self.shown: dict[str, dict[int | None, int]] = {}
        self.loaded: dict[str, dict[int | None, int]] = {}

    @rule(
        kind=st.sampled_from(sorted(PAGES)),
        cookie=st.sampled_from(COOKIES),
        path=st.sampled_from("xy"),
        query=st.sampled_from("pq"),
    )
    def connect(self, kind: str, cookie: str, path: str, query: str) -> None:
        self.count += 1
        conditions, serializer = PAGES[kind]
        page = self.world.page(*conditions, serializer=serializer)
        page, visitor = replace(page, path=path, query=query), Visitor(cookie)
        id = f"client {self.count}"
        self.world.connect(id, page, visitor=visitor)
        self.clients[id] = page, visitor
        self.shown[id], self.loaded[id] = dict(self.versions), dict(self.versions)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.clients)))
        self.world.dispatch.disconnect(id)
        del self.clients[id], self.shown[id]

    @rule(pk=st.sampled_from([1, 1, 2]))
    def save(self, pk: int) -> None:
        for each in (pk, None):
            self.versions[each] += 1
        self.world.save(pk)

    @rule(serializer=st.sampled_from(SERIALIZERS))
    def deploy(self, serializer: Any) -> None:
        self.serializer = serializer

    @rule()
    def take(self) -> None:
        found = self.world.dispatch.next_job()
        if found is not None:
            # It reads the rows when it begins.
            version = self.versions[found[0].key[4]]
            self.running.append((*found, self.serializer, version))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), dies=st.sampled_from([False, False, False, True]))
    def answer(self, data: st.DataObject, dies: bool) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        ticket, job, serializer, version = self.running.pop(place)
        request = Request(job.page, job.visitor)
        found = serializer(request)
        reads = tuple(sorted(request.reads))
        is_second = self.world.dispatch._renderings._renderings[ticket.key].has_died
        if dies:
            actions = self.world.dispatch.failed(ticket, "it died")
        elif found is None:
            result = RenderResult("failed", error="no luck", reads=reads)
            actions = self.world.dispatch.answer(ticket, result)
        else:
            result = RenderResult("done", json.dumps([version, *found]), reads=reads)
            actions = self.world.dispatch.answer(ticket, result)
        pk = ticket.key[4]
        for action in actions:
            for id in getattr(action, "connections", ()):
                own = serializer(Request(*self.clients[id]))
                if isinstance(action, Send):
                    assert json.loads(action.payload) == [version, *own], "another's"
                    assert version >= self.shown[id][pk], "an older one"
                    self.shown[id][pk] = version
                elif dies:
                    page, visitor = self.clients[id]
                    asked = (job.page.path, job.page.query, job.visitor)
                    is_alike = (page.path, page.query, visitor) == asked
                    assert is_alike or is_second, "another's death"
                    self.loaded[id] = dict(self.versions)
                else:
                    assert own is None, "another's failure"
                    self.loaded[id] = dict(self.versions)

    @invariant()
    def nobody_is_rendered_for_twice_at_once(self) -> None:
        ids = [
            {(each.id, ticket.key[4]) for each in ticket.connections} for ticket, *_ in self.running
        ]
        assert sum(map(len, ids)) == len(set().union(*ids))

    def teardown(self) -> None:
        for _ in range(1000):
            self.take()
            if not self.running:
                break
            self.answer(_First(), dies=False)
        assert not self.running
        for id, (page, _) in self.clients.items():
            for each in page.dependencies:
                keys = [None]
                if each.serializer == FUNCTION:
                    keys = [1] if each.condition.equal else [1, 2]
                for pk in keys:
                    found = max(self.shown[id][pk], self.loaded[id][pk])
                    assert found == self.versions[pk], (id, pk)


class _First:
    """Draws the first of whatever it is."""

    def draw(self, strategy: Any) -> int:
        return 0


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
