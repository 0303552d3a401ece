"""Whatever happens, in whatever order: each message once and in order to whom it is for, or a word.

The clients do what ``serverpush.js`` does with what they get, and subscribe as it does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition

from serverpush.jobs import IdentifyJob
from serverpush.messages import EVERYBODY, Message
from serverpush.protocol import Gap, Page, Position, Visitor
from serverpush.results import IdentifyResult, UsersResult
from serverpush.server.core.actions import End, Refresh, Send
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.strangers import Whose

from .machine import STEPS, step
from .world import MODELS, World, where

USERS = ["7", "8"]
TOKENS = {"7": "seven's", "8": "eight's"}
SESSIONS = {"a": "7", "b": "7", "c": "8", "d": ""}
# How a client comes, and whose it is in truth.
WHO = [
    ({}, ""),
    *(({"user": user}, user) for user in USERS),
    *(({"key": key, "session": f"hash of {key}"}, user) for key, user in SESSIONS.items()),
    *(({"bearer": token}, user) for user, token in TOKENS.items()),
    ({"bearer": "made up"}, ""),
]
PLACES = ["channel:news", "channel:sports", "route:/x/"]
AUDIENCES = [(EVERYBODY,), ("user:7",), ("user:8",), ("user:7", "user:8"), *((p,) for p in PLACES)]
CLIENTS = 6
FATES = st.sampled_from(["done", "done", "late", "failed", "wrong"])


@dataclass
class Subscription:
    """As in ``subscriptions.js``; ``start`` is from where on all is owed to it."""

    start: Position
    since: Position | None
    position: Position | None = None

    def begin(self, safe: Position | None) -> Position | None:
        if safe is not None and self.position is not None and safe > self.position:
            self.since = safe
        self.position = None
        return self.since

    def taken(self, position: Position) -> None:
        self.position = position
        self.since = self.since or position


@dataclass
class Client:
    """A page with messages: what it got, and how far it is safe."""

    id: str
    who: dict[str, str]
    user: str
    start: Position
    page: Page
    since: Position | None = None
    places: dict[str, Subscription] = field(default_factory=dict)
    applied: set[str] = field(default_factory=set)
    got: list[int] = field(default_factory=list)
    connected: bool = False
    refreshed: bool = False

    def take(self, action: Any) -> None:
        assert not isinstance(action, End)
        if isinstance(action, Refresh):
            self.refreshed = True
            return
        safe = Position.parse(action.meta["safe"])
        assert self.since is None or safe.epoch != self.since.epoch or safe >= self.since
        self.since = safe
        if action.meta["id"] in self.applied:
            return
        self.applied.add(action.meta["id"])
        if "pk" not in action.meta:
            self.got.append(json.loads(action.payload))

    def owed(self, topics: tuple[str, ...], position: Position) -> bool:
        """Is what was sent to these topics at this position for this client?"""
        own = {EVERYBODY, f"user:{self.user}"} if self.user else {EVERYBODY}
        if own & set(topics):
            return position > self.start
        place = self.places.get(topics[0])
        return place is not None and position > place.start


class Messages(RuleBasedStateMachine):
    """Messages are sent, pages come, subscribe, lose their connections and come back."""

    def __init__(self) -> None:
        super().__init__()
        STEPS["examples of messages"] += 1
        self.world = World(size=12)
        self.world.rows[1] = {"pk": 1, "version": 0}
        self.build()
        self.clients: list[Client] = []
        self.sent: list[tuple[Position, tuple[str, ...]]] = []
        self.running: list[tuple[Any, Any]] = []
        self.count = self.comings = 0

    @initialize(who=st.sampled_from(WHO))
    def first(self, who: Any) -> None:
        self.come_first(who=who)

    def build(self) -> None:
        dispatch = self.world.dispatch
        self.messaging = Messaging(self.world.log, dispatch.registry, dispatch.unsettled)

    # The site

    @step(topics=st.sampled_from(AUDIENCES), times=st.integers(1, 3))
    def send(self, topics: tuple[str, ...], times: int) -> None:
        for _ in range(times):
            self.world.tick()
            message = Message(topics, "message", json.dumps(len(self.sent)), self.world.clock)
            position, actions = self.messaging.published(message, self.world.now)
            self.sent.append((position, topics))
            self.apply(actions)

    @step(works=st.booleans())
    def save(self, works: bool) -> None:
        """A change holds the safe positions of the pages that show it, until it is rendered."""
        self.count += 1
        self.world.save(1, version=self.count)
        if works:
            self.render()

    @step()
    def render(self) -> None:
        found = self.world.dispatch.next_job()
        if found is not None:
            ticket, job = found
            self.apply(self.world.dispatch.answer(ticket, self.world.execute(job)))

    # The clients

    @precondition(lambda self: len(self.clients) < CLIENTS)
    @step(who=st.sampled_from(WHO))
    def come_first(self, who: Any) -> None:
        auth, user = who
        self.count += 1
        page = self.world.page(where(pk=1))
        start = self.world.log.at(page.time)
        client = Client(f"client {self.count}", auth, user, start, page)
        self.clients.append(client)
        self.connect(client)

    @precondition(lambda self: any(each.connected for each in self.clients))
    @step(data=st.data(), place=st.sampled_from(PLACES), young=st.booleans())
    def subscribe(self, data: st.DataObject, place: str, young: bool) -> None:
        client = self.draw(data, connected=True)
        if place in client.places:
            return
        if young:
            client.places[place] = Subscription(client.start, client.start)
        else:
            client.places[place] = Subscription(self.world.log.head, None)
        self.follow(client, place, None)
        self.sweep()

    @precondition(lambda self: any(each.connected for each in self.clients))
    @step(data=st.data(), back=st.booleans())
    def drop(self, data: st.DataObject, back: bool) -> None:
        client = self.draw(data, connected=True)
        self.lose(client)
        if back:
            self.connect(client)

    @precondition(lambda self: any(not each.connected for each in self.clients))
    @step(data=st.data())
    def come(self, data: st.DataObject) -> None:
        self.connect(self.draw(data, connected=False))

    def draw(self, data: st.DataObject, *, connected: bool) -> Client:
        return data.draw(
            st.sampled_from([each for each in self.clients if each.connected is connected])
        )

    def lose(self, client: Client) -> None:
        client.connected = False
        self.messaging.disconnect(client.id)
        self.world.dispatch.disconnect(client.id)

    def connect(self, client: Client) -> None:
        """As ``Connections.joined`` does."""
        client.connected = True
        safe, dispatch = client.since, self.world.dispatch
        since = safe or client.start
        live, actions = dispatch.connect(
            client.id, client.page, Visitor(), since, returns=safe is not None
        )
        # Nobody has looked yet whether those that are known by name have access.
        self.comings += 1
        told = self.messaging.connect(
            client.id, since, Whose(**client.who), is_unseen=self.comings % 2 == 0
        )
        connection = dispatch.registry.get(client.id)
        is_owed = connection is not None and len(connection.floors) > 0
        if live and connection is not None and not told and not is_owed:
            client.since = connection.reach(self.world.log.head)
        for each in (*actions, *told):
            client.take(each)
        for place in client.places:
            self.follow(client, place, safe)
        self.sweep()

    def follow(self, client: Client, place: str, safe: Position | None) -> None:
        subscription = client.places[place]
        since = subscription.begin(safe)
        head = self.world.log.head
        actions = self.messaging.follow(client.id, place, since or head)
        subscription.taken(head)
        for each in actions:
            client.take(each)

    # The renderers

    @precondition(lambda self: self.messaging.unseen)
    @step(data=st.data())
    def see(self, data: st.DataObject) -> None:
        self.apply(self.messaging.seen(data.draw(st.sampled_from(self.messaging.unseen))))

    @step(fate=FATES)
    def take_job(self, fate: str) -> None:
        found = self.messaging.next_job()
        if found is not None:
            self.running.append(found)
            if fate != "late":
                self.end(fate)

    @precondition(lambda self: self.running)
    @step(fate=st.sampled_from(["done", "failed", "wrong"]))
    def end_late(self, fate: str) -> None:
        self.end(fate)

    def end(self, fate: str) -> None:
        STEPS[f"message {fate}"] += 1
        ticket, job = self.running.pop()
        if fate == "failed":
            self.apply(self.messaging.failed(ticket, "it died", self.world.now))
            return
        answers = tuple(
            SESSIONS[each] if isinstance(job, IdentifyJob) else TOKENS[each]
            for each in (job.keys if isinstance(job, IdentifyJob) else job.users)
        )
        result = IdentifyResult if isinstance(job, IdentifyJob) else UsersResult
        if fate == "wrong":
            answers = answers[1:]
        self.apply(self.messaging.answer(ticket, result(answers), self.world.now))

    @step()
    def tick(self) -> None:
        """Seconds go by, after which failed jobs are made again."""
        self.world.tick(31)
        self.messaging.tick(self.world.now)

    # What goes wrong

    @step(kind=st.sampled_from(["trim", "gap", "restart", "kill", "clock"]), go=st.integers(0, 3))
    def trouble(self, kind: str, go: int) -> None:
        if go:
            return
        STEPS[f"message {kind}"] += 1
        self.world.tick()
        if kind == "trim":
            self.world.tick(self.world.log.seconds + 1)
            self.messaging.tick(self.world.now)
        elif kind == "gap":
            self.apply(self.world.dispatch.gap(Gap("overflow"), self.world.now))
        elif kind == "clock":
            self.world.behind = 0.03 - self.world.behind
        else:
            self.restart(graceful=kind == "restart")

    def restart(self, graceful: bool) -> None:
        lines = list(self.world.log.dump())
        self.world.tick()
        self.count += 1
        self.world.log = Log(epoch=f"epoch{self.count}", now=self.world.now, size=12, seconds=300)
        if graceful:
            self.world.log.load(lines)
        self.world.dispatch = Dispatch(self.world.log, MODELS, margin=0)
        self.running.clear()
        self.build()
        for client in self.clients:
            client.connected = False

    def apply(self, actions: list[Any]) -> None:
        for action in actions:
            for client in self.clients:
                if client.id in getattr(action, "connections", ()):
                    assert client.connected or not isinstance(action, Send)
                    client.take(action)
        self.sweep()

    def sweep(self) -> None:
        """Who is told to refresh loads the page anew: that is another client."""
        for client in self.clients:
            if client.refreshed and client.connected:
                self.lose(client)
        self.clients = [each for each in self.clients if not each.refreshed]

    # The promise

    @invariant()
    def nobody_gets_what_is_not_theirs_and_nothing_out_of_order(self) -> None:
        for client in self.clients:
            assert len(set(client.got)) == len(client.got), ("twice", client)
            for number in client.got:
                position, topics = self.sent[number]
                assert client.owed(topics, position), ("a stranger's", number, topics, client)
            for topics in AUDIENCES:
                those = [number for number in client.got if self.sent[number][1] == topics]
                assert those == sorted(those), ("out of order", topics, client)

    @invariant()
    def what_is_behind_the_safe_position_is_there(self) -> None:
        for client in self.clients:
            for number, (position, topics) in enumerate(self.sent):
                is_safe = client.since is not None and position <= client.since
                to_all = topics[0].startswith((EVERYBODY, "user:"))
                if is_safe and to_all and client.owed(topics, position):
                    assert number in client.got, ("safe and not there", number, client)

    def settle(self) -> None:
        while self.world.dispatch.matchings + self.world.dispatch.renderings:
            self.render()
        for _ in range(100):
            if self.running:
                self.end("done")
            else:
                self.tick_a_little()
                self.take_job(fate="done")
        assert not self.running

    def tick_a_little(self) -> None:
        self.world.tick(1)
        self.messaging.tick(self.world.now)

    def teardown(self) -> None:
        for client in list(self.clients):
            if not client.connected:
                self.connect(client)
        for id in self.messaging.unseen:
            self.apply(self.messaging.seen(id))
        self.settle()
        for client in self.clients:
            owed = [
                number
                for number, (position, topics) in enumerate(self.sent)
                if position.epoch == self.world.log.epoch and client.owed(topics, position)
            ]
            assert sorted(client.got) == owed, client


TestMessages = Messages.TestCase
TestMessages.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
