"""Strangers: connections of which nobody knows yet whose they are, or whether there is access."""

from __future__ import annotations

from dataclasses import dataclass, field

from serverpush.protocol import Position


@dataclass(slots=True, eq=False)
class Stranger:
    """A connection by a session, or a token, whose user is not known.

    ``came`` is where it stood when it came, and ``since`` where its messages begin once it
    is known; ``ticket`` holds its safe position there. Both None while there is no message
    that it may have to get.
    ``question`` is the number of the last one whose answer may tell who it is.
    """

    id: str
    came: Position
    since: Position | None = None
    ticket: int | None = None
    question: int = 0


@dataclass(frozen=True, slots=True)
class Whose:
    """What is known of a connection's user.

    ``user`` is its key, ``key`` that of the session, which is a secret, and ``session``
    the hash of it; ``bearer`` is the hash of the user's token, if that is one of the
    project's own. Each is empty where there is none.
    """

    user: str = ""
    key: str = ""
    session: str = ""
    bearer: str = ""


@dataclass(slots=True)
class Unseen:
    """A connection of which nobody has looked yet whether there is still access.

    ``stranger`` holds its safe position; ``ended`` are users whose access has ended since.
    """

    stranger: Stranger
    whose: Whose
    ended: list[str] = field(default_factory=list)
