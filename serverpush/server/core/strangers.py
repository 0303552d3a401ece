"""Strangers: connections of which nobody knows yet whose they are."""

from __future__ import annotations

from dataclasses import dataclass

from serverpush.protocol import Position


@dataclass(slots=True, eq=False)
class Stranger:
    """A connection by a session, or a token, whose user is not known.

    ``since`` is where its messages begin once it is known, and ``ticket`` holds its
    safe position there; None while there is no message that it may have to get.
    ``question`` is the number of the last one whose answer may tell who it is.
    """

    id: str
    since: Position | None = None
    ticket: int | None = None
    question: int = 0
