"""Channels: what a client asks for by ``subscribe`` and ``unsubscribe``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from serverpush import tokens
from serverpush.exceptions import BadMessage, BadToken
from serverpush.messages import Topic, place_of
from serverpush.protocol import Position
from serverpush.server.admission import since_of
from serverpush.server.core.access import Visit
from serverpush.server.core.actions import Action
from serverpush.server.core.messaging import Messaging
from serverpush.server.transport import Answer, Client, Refused

MAX_NAME = 64


class Channels:
    """Answers clients' events.

    Arguments:
        messaging: who follows what.
        do: carries out actions.
        visit: on whose behalf a connection is there.
        position: where in the log a time stands, in seconds since the epoch.
        head: where the log stands.
        bind: takes the id of a connection that is bound to its session from now on.
    """

    def __init__(
        self,
        messaging: Messaging,
        *,
        do: Callable[[Iterable[Action]], None],
        visit: Callable[[str], Visit | None],
        position: Callable[[float], Position],
        head: Callable[[], Position],
        bind: Callable[[str], None],
    ) -> None:
        self._messaging = messaging
        self._do = do
        self._visit = visit
        self._position = position
        self._head = head
        self._bind = bind

    def answer(self, client: Client, name: str, arguments: list[Any]) -> Any:
        """Take an event; returns its acknowledgement. Raises ``Refused`` for a wrong one."""
        if name not in ("subscribe", "unsubscribe"):
            raise Refused("bad_event", f"there is no event {name[:MAX_NAME]!r}")
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise Refused("bad_event", f"{name} takes one object: {{channel: TOKEN}}")
        asked = arguments[0]
        topic = self._topic(client, asked.get("channel"))
        if name == "unsubscribe":
            return {"ok": self._messaging.leave(client.id, topic)}
        return self._subscribe(client, topic, asked.get("since"))

    def _subscribe(self, client: Client, topic: Topic, since: Any) -> Answer:
        found = since_of(since)
        if isinstance(found, float):
            found = self._position(found)
        head = self._head()
        try:
            actions = self._messaging.follow(client.id, topic, head if found is None else found)
        except BadMessage as error:
            raise Refused("too_many", str(error)) from None
        answer = {"ok": True, "position": str(head), **place_of(topic)}
        # In this order: the client has to know what the events belong to.
        return Answer(answer, lambda: self._do(actions))

    def _topic(self, client: Client, token: Any) -> Topic:
        """The topic that a token lets this client follow; raises ``Refused``."""
        try:
            topic, session, user = tokens.verify_topic(token)
        except BadToken as error:
            raise Refused(error.code, str(error)) from None
        visit = self._visit(client.id)
        if visit is None:
            raise Refused("session_mismatch", "access has ended")
        if session and session != visit.session:
            raise Refused("session_mismatch", "this token was made for another session")
        if user and user != visit.user:
            raise Refused("session_mismatch", "this token was made for another user")
        if session:
            self._bind(client.id)
        return topic
