"""Whatever happens, in whatever order: never a wrong "you are up to date"."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serverpush.protocol import Gap, Page, Position, Serializer, Visitor
from serverpush.server.core.actions import Refresh, Send
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log

from .world import FIELDS, MODELS, World, asking, dependency, meets, where

PKS = st.integers(1, 4)
SHELVES = st.integers(1, 2)
CONDITIONS = [where(pk=1), where(shelf=1), asking(shelf=1), asking(shelf=2), where()]
FUNCTION = Serializer("function", "shop.views:serialize")


@dataclass
class Client:
    """A browser: what its page shows, what it has applied, how far it is safe."""

    id: str
    page: Page
    visitor: Visitor
    # For each update of the page, the rows that it shows; of a view, all at once.
    shown: list[Any]
    is_view: bool = False
    since: Position | None = None
    applied: set[str] = field(default_factory=set)
    connected: bool = False
    refreshed: bool = False


class Pages(RuleBasedStateMachine):
    """Rows change, commits are reported late, renderers answer late and out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(size=12)
        self.clients: list[Client] = []
        self.rendering: list[dict[str, Any]] = []
        self.unreported: list[tuple[int, str, float]] = []
        self.running: list[tuple[Any, Any, Any]] = []
        self.count = 0

    # The database and the outbox

    @rule(pk=PKS, shelf=SHELVES)
    def commit(self, pk: int, shelf: int) -> None:
        self.count += 1
        action = "changed" if pk in self.world.rows else "created"
        self.world.rows[pk] = {"pk": pk, "shelf": shelf, "version": self.count}
        self.committed(pk, action)

    @rule(pk=PKS)
    def delete(self, pk: int) -> None:
        if self.world.rows.pop(pk, None) is not None:
            self.committed(pk, "deleted")

    def committed(self, pk: int, action: str) -> None:
        self.world.tick()
        self.unreported.append((pk, action, self.world.now))

    @precondition(lambda self: self.unreported)
    @rule()
    def report(self) -> None:
        self.world.report(*self.unreported.pop(0))

    @rule()
    def lose_changes(self) -> None:
        self.unreported.clear()
        self.world.tick()
        self.apply(self.world.dispatch.gap(Gap("overflow"), self.world.now))

    # Pages: the request comes in, the view reads, the keys are recorded

    @rule(
        conditions=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3),
        serializer=st.sampled_from([FIELDS, FUNCTION]),
        listed=st.booleans(),
    )
    def request(self, conditions: list[Any], serializer: Serializer, listed: bool) -> None:
        self.world.tick()
        self.rendering.append(
            {
                "time": self.world.now,
                "conditions": conditions,
                "serializer": serializer,
                "listed": listed,
                "shown": [
                    {pk: row for pk, row in self.world.rows.items() if meets(row, condition)}
                    for condition in conditions
                ],
            }
        )

    @rule()
    def request_view(self) -> None:
        self.world.tick()
        view = {"time": self.world.now, "shown": self.world.shown()}
        self.world.tick()
        self.rendering.append(view)

    @precondition(lambda self: self.rendering)
    @rule(connect=st.booleans())
    def rendered(self, connect: bool) -> None:
        view = self.rendering.pop(0)
        self.world.tick()
        is_view = "conditions" not in view
        dependencies = (
            self.world.followed()
            if is_view
            else tuple(
                dependency(
                    condition,
                    serializer=view["serializer"],
                    keys=self.world.keys(condition) if view["listed"] else None,
                )
                for condition in view.get("conditions", ())
            )
        )
        page = Page("/", time=view["time"], recorded=self.world.now, dependencies=dependencies)
        self.count += 1
        visitor = Visitor(cookie=f"sessionid={self.count % 2}")
        client = Client(f"client {self.count}", page, visitor, view["shown"], is_view)
        self.clients.append(client)
        if connect:
            self.connect(client)

    # Connections

    def connect(self, client: Client) -> None:
        since = client.since or self.world.log.at(client.page.time)
        client.connected = True
        live, actions = self.world.dispatch.connect(
            client.id, client.page, client.visitor, since, returns=client.since is not None
        )
        self.apply(actions)
        if live:
            client.since = self.world.log.head

    @precondition(lambda self: any(not each.connected for each in self.clients))
    @rule(data=st.data())
    def come(self, data: st.DataObject) -> None:
        away = [each for each in self.clients if not each.connected]
        self.connect(data.draw(st.sampled_from(away)))

    @precondition(lambda self: any(each.connected for each in self.clients))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        here = [each for each in self.clients if each.connected]
        client = data.draw(st.sampled_from(here))
        client.connected = False
        self.world.dispatch.disconnect(client.id)

    # Renderers: they take a job, read, and answer, each when they like

    @rule()
    def take_a_job(self) -> None:
        found = self.world.dispatch.next_job()
        if found is not None:
            self.running.append((*found, None))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        ticket, job, _ = self.running[place]
        self.running[place] = (ticket, job, self.world.execute(job))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        ticket, job, result = self.running.pop(place)
        result = result or self.world.execute(job)
        self.apply(self.world.dispatch.answer(ticket, result))

    # Restarts

    @rule(graceful=st.booleans())
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

    # What the browsers do with what they get

    def apply(self, actions: list[Any]) -> None:
        for client in self.clients:
            for action in actions:
                if client.id in getattr(action, "connections", ()):
                    self.take(client, action)

    def take(self, client: Client, action: Send | Refresh) -> None:
        if isinstance(action, Refresh):
            client.refreshed = True
            return
        meta = action.meta
        if action.page is not None:
            client.page = action.page
        if meta["id"] not in client.applied:
            client.applied.add(meta["id"])
            self.show(client, action)
        safe = Position.parse(meta["safe"])
        client.since = max(client.since or safe, safe)

    def show(self, client: Client, action: Send) -> None:
        if client.is_view:
            client.shown = json.loads(action.payload)
            return
        place = int(action.meta["id"].partition(".")[2] or 0)
        pk = action.meta["pk"]
        if action.meta["action"] == "removed":
            client.shown[place].pop(pk, None)
        else:
            client.shown[place][pk] = json.loads(action.payload)

    # The promise

    def settle(self) -> None:
        while self.unreported:
            self.report()
        for ticket, job, result in self.running:
            self.apply(self.world.dispatch.answer(ticket, result or self.world.execute(job)))
        self.running.clear()
        while (found := self.world.dispatch.next_job()) is not None:
            ticket, job = found
            self.apply(self.world.dispatch.answer(ticket, self.world.execute(job)))

    def teardown(self) -> None:
        while self.rendering:
            self.rendered(connect=True)
        for client in self.clients:
            if not client.connected:
                self.connect(client)
        self.settle()
        for client in self.clients:
            if not client.refreshed:
                self.check(client)
        for client in self.clients:
            self.world.dispatch.disconnect(client.id)
        assert len(self.world.dispatch.index) == 0

    def check(self, client: Client) -> None:
        if client.is_view:
            assert client.shown == self.world.shown(), client.id
            return
        for place, each in enumerate(client.page.dependencies):
            expected = {
                pk: row for pk, row in self.world.rows.items() if meets(row, each.condition)
            }
            assert client.shown[place] == expected, (client.id, each.condition)

    @invariant()
    def safe_is_never_ahead_of_the_log(self) -> None:
        for client in self.clients:
            if client.since is not None and client.since.epoch == self.world.log.epoch:
                assert client.since <= self.world.log.head


TestPages = Pages.TestCase
TestPages.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
