"""Channels: what a client asks for by ``subscribe`` and ``unsubscribe``, and who is there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from serverpush import tokens
from serverpush.exceptions import BadMessage, BadToken
from serverpush.jobs import SubscribeJob
from serverpush.messages import Topic, channel_topic, place_of
from serverpush.protocol import Page, Position
from serverpush.results import SubscribeResult
from serverpush.server.admission import since_of
from serverpush.server.core.access import Access
from serverpush.server.core.actions import Action, Report
from serverpush.server.core.members import Key, Member
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.presence import Move, Presence, channel_of
from serverpush.server.core.registry import Registry
from serverpush.server.core.visits import Visit
from serverpush.server.transport import Answer, Client, Refused, loop

MAX_NAME = 64
MAX_TAB = 64


class Channels:
    """Answers clients' events.

    Arguments:
        messaging: who follows what.
        presence: who is subscribed to which channel.
        registry: the connections.
        access: on whose behalf they are there.
        ask: has the project asked about a subscription; may wait.
        do: carries out actions.
        position: where the log stood at a time, in seconds since the epoch.
        head: where the log stands.
        wake: lets idle renderers look for work.
        see: waits until somebody has looked at a connection's session, if nobody has since
            it may have ended; raises ``Refused`` where nobody can.
        hook: may clients subscribe by a channel's id, if the project says so?
        share: tells other push servers who came and who left.
    """

    def __init__(
        self,
        messaging: Messaging,
        presence: Presence,
        registry: Registry,
        access: Access,
        *,
        ask: Callable[[SubscribeJob], SubscribeResult],
        do: Callable[[Iterable[Action]], None],
        position: Callable[[float], Position],
        head: Callable[[], Position],
        wake: Callable[[], None],
        see: Callable[[str], None],
        hook: bool,
        share: Callable[[], None] = lambda: None,
    ) -> None:
        self._messaging = messaging
        self._presence = presence
        self._registry = registry
        self._access = access
        self._ask = ask
        self._do = do
        self._position = position
        self._head = head
        self._wake = wake
        self._see = see
        self._hook = hook
        self._share = share
        self._is_stopping = False
        # By which each connection's page is known again, and who came with a user's token.
        self._tabs: dict[str, str] = {}
        self._bearers: set[str] = set()
        self._told = 0
        # So that no other life of the push server tells under the same names.
        self._life = secrets.token_hex(4)

    def connect(self, id: str, tab: Any, user: str) -> None:
        """Note by what a connection's page is known again when it comes back.

        ``user`` is that of its user's token, or the token's hash, empty without one.
        """
        known = tab if isinstance(tab, str) and 0 < len(tab) <= MAX_TAB else id
        self._tabs[id] = f"{known} {user}"
        if user:
            self._bearers.add(id)

    def disconnect(self, id: str, now: float, *, said_goodbye: bool) -> None:
        """Forget a connection; ``now`` in seconds since the epoch."""
        self._tabs.pop(id, None)
        self._bearers.discard(id)
        self._presence.disconnect(id, now, said_goodbye=said_goodbye)

    def stop(self, seconds: float) -> None:
        """Subscribe nobody any more, and let the project hear of all who came and left.

        Waits for ``seconds`` at most; what it has not heard then is left for the next start.
        """
        self._is_stopping = True
        self._wake()
        until = time.monotonic() + seconds
        while self._presence.order and time.monotonic() < until:
            loop.sleep(0.01)
        self._presence.stop()
        self._share()

    def answer(self, client: Client, name: str, arguments: list[Any]) -> Any:
        """Take an event; returns its acknowledgement. Raises ``Refused`` for a wrong one."""
        if name not in ("subscribe", "unsubscribe"):
            raise Refused("bad_event", f"there is no event {name[:MAX_NAME]!r}")
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise Refused("bad_event", f"{name} takes one object: {{channel: TOKEN}}")
        asked = arguments[0]
        if name == "subscribe":
            topic, is_open = self._topic(client, asked.get("channel"))
            return self._subscribe(client, topic, asked.get("since"), asks=is_open)
        topic = self._own_topic(asked.get("channel"))
        left = self._messaging.leave(client.id, topic)
        channel = channel_of(topic)
        with self._turn(channel, self._key(client, channel)):
            self._presence.leave(channel, client.id)
        self._share()
        self._wake()
        return {"ok": left}

    def _subscribe(self, client: Client, topic: Topic, since: Any, *, asks: bool) -> Answer:
        found = since_of(since)
        if isinstance(found, float):
            found = self._position(found)
        channel = channel_of(topic)
        self._check_room(client, topic)
        if self._is_stopping:
            raise Refused("server_error", "the push server is about to end")
        key = self._key(client, channel)
        with self._turn(channel, key):
            # Such a page is told to the project only if the server that has it tells that it left.
            is_silent = self._presence.member(channel, key) is not None
            # The project is asked only where nothing else stands against it.
            member = self._member(client, channel, key, asks) if channel else None
            head = self._head()
            actions = self._messaging.follow(client.id, topic, head if found is None else found)
            if member is not None:
                self._presence.join(channel, key, client.id, member, is_silent=is_silent)
        self._share()
        answer = {"ok": True, "position": str(head), **place_of(topic)}
        if channel and self._presence.tells(channel):
            answer["present"] = self._presence.present(channel)
        # In this order: the client has to know what the events belong to.
        return Answer(answer, lambda: self._do(actions))

    @contextmanager
    def _turn(self, channel: str, key: Key) -> Iterator[None]:
        """Wait until the project has heard of all that this page did in a channel before."""
        if not channel or not self._presence.matters(channel):
            yield
            return
        order, place, turn = self._presence.order, (channel, key), loop.Event()
        order.enter(place, turn, turn.set)
        try:
            turn.wait()
            yield
        finally:
            order.leave(place, turn)

    def _member(self, client: Client, channel: str, key: Key, asks: bool) -> Member | None:
        """Ask the project, as far as it wants to be; None where nobody cares who is there."""
        matters = self._presence.matters(channel)
        if not asks and not matters:
            return None
        connection, visit = self._registry.get(client.id), self._access.visit(client.id)
        page = connection.page if connection else Page("")
        visitor = connection.visitor if connection else None
        if visit is None or visitor is None:
            raise Refused("session_mismatch", "access has ended")
        page = page.with_dependencies((), page.time, page.recorded)
        # A page that comes back is the one that it was.
        known = self._presence.member(channel, key)
        # It leaves as who it came, though its browser may have got a session since.
        is_as_it_came = known is not None and key[1] != visit.session
        if known is not None and not asks:
            return known if is_as_it_came else Member(known.user, known.name, page, visitor)
        signal = "subscribe" if known is None and matters else ""
        # Of a session, its cookie says whose it is; or it has ended. A token says it itself.
        user = visit.user if client.id in self._bearers or not visit.session else ""
        job = SubscribeJob(channel, page, visitor, user, asks, signal)  # type: ignore[arg-type]
        result = self._ask(job)
        if result.error:
            self._do([Report(f"channel {channel!r}: {result.error}")])
            raise Refused("server_error", f"the site could not be asked about {channel!r}")
        if not result.allowed:
            raise Refused("forbidden", f"the site does not let you subscribe to {channel!r}")
        is_there = self._access.visit(client.id) is not None
        if asks and result.user:
            is_there = self._access.bind(client.id, result.user)
        member = Member(result.user, result.name, page, visitor)
        if known is not None and is_as_it_came:
            member = known
        if not is_there:
            if signal:
                self._presence.part(channel, key, member)
            raise Refused("session_mismatch", "access has ended")
        return member if matters else None

    def _check_room(self, client: Client, topic: Topic) -> None:
        try:
            self._messaging.check_room(client.id, topic)
        except BadMessage as error:
            raise Refused("too_many", str(error)) from None

    def _own_topic(self, token: Any) -> Topic:
        """The topic that a client leaves: its token may have become too old meanwhile."""
        try:
            return tokens.verify_topic(token, ages=False)[0]
        except BadToken as error:
            if self._hook:
                return self._open(token)
            raise Refused(error.code, str(error)) from None

    def _key(self, client: Client, channel: str) -> Key:
        """By what a page is known in a channel, over its connections.

        Its session belongs to it: by a tab's name alone anybody could pass for its user.
        """
        visit, connection = self._access.visit(client.id) or Visit(), self._registry.get(client.id)
        tab = self._tabs.get(client.id, client.id)
        is_bound = connection is not None and bool(connection.page.session)
        if not is_bound and self._presence.member(channel, (tab, "")) is not None:
            # It came without a session, and has got one since: by another tab, say.
            return tab, ""
        return tab, visit.session

    def _topic(self, client: Client, token: Any) -> tuple[Topic, bool]:
        """The topic that a token lets this client follow; is the project to be asked first?

        Raises ``Refused``.
        """
        try:
            topic, session, user = tokens.verify_topic(token)
        except BadToken as error:
            if self._hook and error.code == "bad_token":
                return self._open(token), True
            raise Refused(error.code, str(error)) from None
        visit = self._access.visit(client.id)
        if visit is None:
            raise Refused("session_mismatch", "access has ended")
        if session and session != visit.session:
            raise Refused("session_mismatch", "this token was made for another session")
        if user and user != visit.user:
            raise Refused("session_mismatch", "this token was made for another user")
        if session and not self._access.bind(client.id):
            raise Refused("session_mismatch", "access has ended")
        if session or user:
            self._see(client.id)
            if self._access.visit(client.id) is None:
                raise Refused("session_mismatch", "access has ended")
        return topic, False

    def _open(self, channel: Any) -> Topic:
        try:
            return channel_topic(channel)
        except BadMessage as error:
            raise Refused("bad_token", str(error)) from None

    # Presence

    def tick(self, now: float) -> None:
        """Tell who is there where that has changed; ``now`` in seconds since the epoch."""
        self._presence.tick(now)
        self._share()
        for channel in self._presence.changed():
            self._told += 1
            self._do(
                self._messaging.tell(
                    channel, self._presence.present(channel), f"{self._life}{self._told}"
                )
            )

    def told(self, move: Move, problem: str, *, allowed: bool = True) -> list[Action]:
        """Take it that the project has heard of a move; not all of it where there is a problem."""
        self._presence.told(move)
        joins = move.signal == "subscribe"
        if joins and not allowed:
            # It was let in where it came from.
            problem = problem or "the site does not let it, and it stays"
        doing = "joining" if joins else "leaving"
        return [Report(f"{doing} channel {move.channel!r}: {problem}")] if problem else []
