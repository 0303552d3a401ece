"""Replay: where a client that is no browser stands in the server's log, and what it has had."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

# Ids of events that were applied: as many as the server keeps in its history by default.
REMEMBERED = 10_000


class Replay:
    """What to ask the server for, over one connection after another.

    Arguments:
        since: a position or ``generated_timestamp`` to begin after; None: where the
            server lets it begin.
        is_recorded: it comes with a page's record, and begins by itself at that
            page's rendering.

    Positions of two connections are not compared: the server may have lost its log between
    them, and the new one's positions need not be greater.
    """

    def __init__(self, since: Any, *, is_recorded: bool = False) -> None:
        self._since = since
        self._is_recorded = is_recorded
        # Of this connection: where the log stood when it began, and the last safe position.
        self._begun = ""
        self.safe = ""
        self._applied: OrderedDict[str, None] = OrderedDict()

    def connect(self) -> Any:
        """What a new connection asks for: everything after this; None: nothing in particular."""
        if self.safe:
            self._since = self.safe
        elif self._since is None and not self._is_recorded:
            # The one before began there, and may have been lost with what came next.
            self._since = self._begun or None
        self._begun = self.safe = ""
        return self._since

    def ready(self, position: str, *, live: bool) -> None:
        """Take a ``serverpush:ready``."""
        self._begun = self._begun or position
        if live:
            self.advance(position)

    def advance(self, position: str) -> None:
        """Note that everything up to a position has been sent."""
        self.safe = max(self.safe, position)

    def go_on(self) -> None:
        """What was missed is gone, and has been told: what comes next follows this connection."""
        self.advance(self._begun)

    def is_new(self, id: str) -> bool:
        """Note that an event has come; is it the first time?"""
        if id in self._applied:
            return False
        self._applied[id] = None
        if len(self._applied) > REMEMBERED:
            self._applied.popitem(last=False)
        return True


@dataclass(slots=True)
class Subscription:
    """A channel's or route's token, where it begins, and where the server last took it.

    ``place`` is what it is a token of, as the server says: a channel or a route.
    """

    token: str
    since: Any
    position: str = ""
    place: tuple[str | None, str | None] = (None, None)

    def begin(self, safe: str) -> None:
        """Begin anew with a new connection, ``safe`` being the last position of the one before."""
        # What was missed follows the answer, and may have been lost on the way.
        if self.position and safe > self.position:
            self.since = safe
        self.position = ""

    def taken(self, answer: dict[str, Any]) -> None:
        """The server has taken it; its answer says where its log stands, and what it is of."""
        self.position = answer["position"]
        self.place = answer.get("channel"), answer.get("route")
        # One that has no place of its own to begin at begins here.
        if self.since is None:
            self.since = self.position

    def go_on(self) -> None:
        """What was missed is gone, and has been told."""
        self.since = self.position or self.since
