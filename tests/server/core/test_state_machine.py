"""Whatever happens, in whatever order: never a wrong "you are up to date"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from serverpush.jobs import MatchJob, RenderJob
from serverpush.protocol import Dependency, Gap, Page, Serializer, Visitor
from serverpush.results import EVERYTHING, MatchResult, RenderResult
from serverpush.server.core.actions import Ready, Refresh, Report
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.glimpses import DOUBT_TICKS
from serverpush.server.core.log import Log

from .machine import STEPS, Client, rows_of, step
from .world import EVERY, FIELDS, MODELS, World, asking, dependency, guarded, where

PKS = st.integers(1, 3)
SHELVES = st.sampled_from([1, 2, 1, 2, None])
CONDITIONS = [
    where(pk=1),
    where(shelf=1),
    asking(shelf=1),
    asking(shelf=2),
    guarded(shelf=1),
    guarded(shelf=2),
    where(),
]
CLIENTS = 8
FATES = ("done", "failed", "died", "undecided")
ANY_FATE = st.sampled_from(("late", "late", "done", "done", *FATES))
TROUBLES = ("gap", "trim", "clock", "restart", "kill")
DEFAULT = ("added", "changed")
FUNCTION = Serializer("function", "shop.views:serialize")


class Pages(RuleBasedStateMachine):
    """Rows change, commits are reported late, renderers answer late, out of order or not at all."""

    def __init__(self) -> None:
        super().__init__()
        STEPS["examples"] += 1
        self.world = World(size=12, shelf=2)
        self.clients: list[Client] = []
        self.rendering: list[dict[str, Any]] = []
        self.unreported: list[tuple[int, str, float]] = []
        self.running: list[tuple[Any, Any, Any]] = []
        self.count = 0
        # Commits, pages and answers since there was trouble.
        self.at_stake = 0
        # Not an empty world: there is something to go wrong from the first step on.
        for pk in 1, 2:
            self.world.rows[pk] = {"pk": pk, "shelf": pk, "version": 0}
        self.request(
            conditions=[asking(shelf=1), where()],
            serializer=FIELDS,
            listed=True,
            on=EVERY,
            slow=False,
        )

    # The database and the outbox

    @step(
        pk=PKS,
        shelf=SHELVES,
        late=st.booleans(),
        is_new=st.sampled_from([True, True, False]),
        fates=st.lists(ANY_FATE, max_size=3),
    )
    def commit(
        self, pk: int, shelf: int | None, late: bool, is_new: bool, fates: list[str]
    ) -> None:
        """Create or change a row, perhaps to what it was once, or without a shelf delete it;
        reported at once or later."""
        self.count += is_new
        action = "changed" if pk in self.world.rows else "created"
        if shelf is not None:
            version = self.count if is_new else 0
            self.world.rows[pk] = {"pk": pk, "shelf": shelf, "version": version}
        elif self.world.rows.pop(pk, None) is not None:
            action = "deleted"
        else:
            return
        self.committed(pk, action)
        if not late:
            self.report()
            self.take_jobs(fates=fates)

    def committed(self, pk: int, action: str) -> None:
        self.at_stake += 1
        self.world.tick()
        self.unreported.append((pk, action, self.world.clock))

    @precondition(lambda self: self.unreported)
    @step(again=st.booleans())
    def report(self, again: bool = False) -> None:
        """Report a commit; again, where the answer was lost and the batch is sent once more."""
        for _ in range(1 + again):
            self.world.report(*self.unreported[0])
        self.unreported.pop(0)

    # What goes wrong, once there is something at stake

    @precondition(lambda self: self.at_stake > 2)
    @step(data=st.data(), kind=st.sampled_from(TROUBLES))
    def trouble(self, data: st.DataObject, kind: str) -> None:
        STEPS[kind] += 1
        self.at_stake = 0
        self.world.tick()
        if kind == "gap":
            self.unreported.clear()
            self.apply(self.world.dispatch.gap(Gap("overflow"), self.world.now))
        elif kind == "trim":
            # So long that the log forgets what it holds, at its next entry.
            self.world.tick(self.world.log.seconds + 1)
        elif kind == "clock":
            # The site's, and with it the times of pages and commits.
            self.world.behind = data.draw(st.sampled_from([0, 0.005, 0.03, 1, 600]))
        else:
            self.restart(graceful=kind == "restart")

    def restart(self, graceful: bool) -> None:
        lines = list(self.world.log.dump())
        self.world.tick()
        self.count += 1
        self.world.log = Log(
            epoch=f"epoch {self.count}".replace(" ", ""), now=self.world.now, size=12, seconds=300
        )
        if graceful:
            self.world.log.load(lines)
        self.world.dispatch = Dispatch(self.world.log, MODELS, margin=0)
        self.running.clear()
        for client in self.clients:
            client.connected = False
        self.forget()

    # Pages: the request comes in, the view reads, the keys are recorded

    @precondition(lambda self: len(self.clients) < CLIENTS)
    @step(
        conditions=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3),
        serializer=st.sampled_from([FIELDS, FUNCTION]),
        listed=st.booleans(),
        on=st.sampled_from([EVERY, DEFAULT]),
        slow=st.booleans(),
    )
    def request(
        self,
        conditions: list[Any],
        serializer: Serializer,
        listed: bool,
        on: tuple[Any, ...],
        slow: bool,
    ) -> None:
        listing = [
            dependency(each, serializer=serializer, on=on, keys=() if listed else None)
            for each in conditions
        ]
        self.ask_for(listing)
        if not slow:
            self.render_all()

    def ask_for(self, dependencies: Iterable[Dependency]) -> None:
        """Ask for a page: its view reads now."""
        self.world.tick()
        shown = [rows_of(self.world, each.condition) for each in dependencies]
        asked = {"time": self.world.clock, "began": self.world.now, "shown": shown}
        self.rendering.append(asked | {"dependencies": tuple(dependencies)})

    @precondition(lambda self: len(self.clients) < CLIENTS)
    @step(slow=st.booleans())
    def request_view(self, slow: bool) -> None:
        self.ask_for_view()
        if not slow:
            self.render_all()

    def ask_for_view(self) -> None:
        self.world.tick()
        view = {"time": self.world.clock, "began": self.world.now, "shown": self.world.shown()}
        self.world.tick()
        self.rendering.append(view)

    @precondition(lambda self: 0 < len(self.clients) < CLIENTS)
    @step(data=st.data(), tabs=st.integers(1, 3), slow=st.booleans())
    def open_alike(self, data: st.DataObject, tabs: int, slow: bool) -> None:
        """Others open a page that somebody has: what they are owed is noted once."""
        alike = data.draw(st.sampled_from(self.clients))
        for _ in range(tabs):
            if alike.is_view:
                self.ask_for_view()
            else:
                self.ask_for(alike.page.dependencies)
        if not slow:
            self.render_all()

    def render_all(self) -> None:
        while self.rendering:
            self.rendered(connect=True)

    @precondition(lambda self: self.rendering)
    @step(connect=st.booleans())
    def rendered(self, connect: bool) -> None:
        view = self.rendering.pop(0)
        self.world.tick()
        is_view = "dependencies" not in view
        dependencies = (
            self.world.followed() if is_view else tuple(map(self.recorded, view["dependencies"]))
        )
        # By what has passed since: the clock may have been set meanwhile.
        recorded = view["time"] + self.world.now - view["began"]
        page = Page("/", time=view["time"], recorded=recorded, dependencies=dependencies)
        self.count += 1
        visitor = Visitor(cookie=f"sessionid={self.count % 2}")
        client = Client(f"client {self.count}", page, visitor, view["shown"], is_view)
        self.clients.append(client)
        self.at_stake += 1
        if connect:
            self.connect(client)

    def recorded(self, asked: Dependency) -> Dependency:
        """With the keys that the page records."""
        keys = None if asked.keys is None else self.world.keys(asked.condition)
        return replace(asked, keys=keys)

    # Connections

    def connect(self, client: Client) -> None:
        since = client.since or self.world.log.at(client.page.time)
        client.connected = True
        is_here = self.world.log.covers(since) and not self.world.log.has_gap(since)
        live, actions = self.world.dispatch.connect(
            client.id, client.page, client.visitor, since, returns=client.since is not None
        )
        # Told to refresh where something is lost, and only there.
        assert [type(each) for each in actions] == ([] if is_here else [Refresh])
        self.apply(actions)
        if live:
            assert is_here
            # It is told so.
            connection = self.world.dispatch.registry.get(client.id)
            client.since = connection.reach(self.world.log.head)
            if not self.unreported:
                client.check(self.world)

    @precondition(lambda self: any(not each.connected for each in self.clients))
    @step(data=st.data())
    def come(self, data: st.DataObject) -> None:
        away = [each for each in self.clients if not each.connected]
        self.connect(data.draw(st.sampled_from(away)))

    @precondition(lambda self: any(each.connected for each in self.clients))
    @step(data=st.data(), back=st.booleans())
    def drop(self, data: st.DataObject, back: bool) -> None:
        """Lose a connection; the client comes back at once, or stays away."""
        here = [each for each in self.clients if each.connected]
        client = data.draw(st.sampled_from(here))
        client.connected = False
        self.world.dispatch.disconnect(client.id)
        self.forget()
        if back and not client.refreshed:
            self.connect(client)

    @precondition(lambda self: any(each.refreshed for each in self.clients))
    @step(data=st.data(), slow=st.booleans())
    def reload(self, data: st.DataObject, slow: bool) -> None:
        """Who was told to refresh loads the page anew: that is another client."""
        told = data.draw(st.sampled_from([each for each in self.clients if each.refreshed]))
        if told.is_view:
            self.ask_for_view()
        else:
            self.ask_for(told.page.dependencies)
        if not slow:
            self.render_all()
        self.world.dispatch.disconnect(told.id)
        told.connected = False
        self.forget()

    def forget(self) -> None:
        self.clients = [each for each in self.clients if each.connected or not each.refreshed]

    # Renderers: they take a job, read, and answer, each when they like

    @precondition(lambda self: self.world.dispatch.matchings + self.world.dispatch.renderings)
    @step(fates=st.lists(ANY_FATE, min_size=1, max_size=5))
    def take_jobs(self, fates: list[str]) -> None:
        for fate in fates:
            found = self.world.dispatch.next_job()
            if found is None:
                return
            if fate == "late":
                self.running.append((*found, None))
            else:
                self.end(*found, None, fate)

    @precondition(lambda self: self.running)
    @step(data=st.data())
    def read(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        ticket, job, _ = self.running[place]
        self.running[place] = (ticket, job, self.world.execute(job))

    @precondition(lambda self: self.running)
    @step(data=st.data(), fate=st.sampled_from(FATES))
    def end_late(self, data: st.DataObject, fate: str) -> None:
        self.end(*self.running.pop(data.draw(st.integers(0, len(self.running) - 1))), fate)

    def end(self, ticket: Any, job: Any, result: Any, fate: str) -> None:
        """A job ends: with its result, or without one."""
        STEPS[fate] += 1
        self.at_stake += 1
        result = result or self.world.execute(job)
        if fate == "done":
            self.apply(self.world.dispatch.answer(ticket, result))
        elif fate == "undecided":
            self.leave_undecided(ticket, job, result)
        else:
            self.fail(ticket, job, fate)

    def fail(self, ticket: Any, job: Any, fate: str) -> None:
        """Those that it was for are told, and no others."""
        is_match = isinstance(job, MatchJob)
        told = self.watchers(ticket) if is_match else self.alike(ticket, job, fate)
        result: Any = (
            MatchResult(None, error=fate)
            if is_match
            else RenderResult("failed", error=fate, reads=tuple(EVERYTHING))
        )
        if fate == "failed":
            actions = self.world.dispatch.answer(ticket, result)
        else:
            actions = self.world.dispatch.failed(ticket, fate)
        assert isinstance(actions[0], Report)
        self.expect_errors(actions, told)

    def leave_undecided(self, ticket: Any, job: Any, result: Any) -> None:
        """A match whose conditions the database could not decide, though it has the row."""
        conditions = job.conditions if isinstance(job, MatchJob) else ()
        unknown = frozenset(number for number, _ in conditions)
        if unknown:
            result = replace(result, met=result.met - unknown, unknown=unknown)
        # Of the first part of a question they are told with the answer to the second.
        first = getattr(ticket, "first", None)
        undecided = unknown if first is None else unknown | first.unknown
        told = self.world.dispatch.index.watchers_of(undecided)
        actions = self.world.dispatch.answer(ticket, result)
        if isinstance(job, MatchJob) and (first is not None or ticket.first is None):
            self.expect_errors(actions, told)
        else:
            self.apply(actions)

    def alike(self, run: Any, job: RenderJob, fate: str) -> set[str]:
        """Those of a run who would have had the same; all, where two in a row have died."""
        renderings = self.world.dispatch._renderings._renderings
        is_second = fate == "died" and renderings[run.key].has_died
        lead = run.lead.values(EVERYTHING)
        there = [each for each in run.connections if not each.closed]
        return {each.id for each in there if is_second or each.values(EVERYTHING) == lead}

    def watchers(self, asked: Any) -> set[str]:
        """Who may be concerned by what a match would have told."""
        index = self.world.dispatch.index
        told = index.watchers(asked.model) if asked.live is not None else set()
        return told | index.watchers_of(each.watched.number for each in asked.missed)

    def expect_errors(self, actions: list[Any], told: set[str]) -> None:
        errors = [each for each in actions if isinstance(each, Refresh)]
        assert [set(each.connections) for each in errors] == ([told] if told else [])
        assert all(each.reason == "error" for each in errors)
        self.apply(actions)

    # What the browsers do with what they get

    def apply(self, actions: list[Any]) -> None:
        for client in self.clients:
            for action in actions:
                if client.id in getattr(action, "connections", ()):
                    client.take(action)

    # The promise

    def settle(self) -> None:
        while self.unreported:
            self.report()
        for ticket, job, result in self.running:
            self.apply(self.world.dispatch.answer(ticket, result or self.world.execute(job)))
        self.running.clear()
        for _ in range(DOUBT_TICKS + 1):
            while (found := self.world.dispatch.next_job()) is not None:
                ticket, job = found
                self.apply(self.world.dispatch.answer(ticket, self.world.execute(job)))
            self.apply([each for each in self.world.dispatch.tick() if not isinstance(each, Ready)])

    def teardown(self) -> None:
        self.render_all()
        # Then once more: who comes back to a world at rest stays as it was.
        for _ in range(2):
            for client in list(self.clients):
                if not client.connected:
                    self.connect(client)
            self.settle()
            for client in self.clients:
                client.check(self.world)
                self.world.dispatch.disconnect(client.id)
                client.connected = False
            self.forget()
            assert len(self.world.dispatch.index) == 0
        assert self.world.dispatch.matchings == self.world.dispatch.renderings == 0

    @invariant()
    def safe_is_never_ahead_of_the_log(self) -> None:
        for client in self.clients:
            if client.since is not None and client.since.epoch == self.world.log.epoch:
                assert client.since <= self.world.log.head


TestPages = Pages.TestCase
TestPages.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
