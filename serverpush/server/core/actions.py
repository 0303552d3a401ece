"""Actions: what dispatch wants done by the shell around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from serverpush.protocol import Page, Position


@dataclass(frozen=True, slots=True)
class Send:
    """Emit ``name`` with ``payload`` (JSON text) and ``meta`` to these connections.

    ``at`` is when the change was committed, in seconds since the epoch, None where
    it is replayed; ``page`` is their page anew where its dependencies were replaced.
    """

    connections: tuple[str, ...]
    name: str
    payload: str
    meta: dict[str, Any]
    at: float | None
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """Tell these connections that they have been sent everything up to a position."""

    connections: tuple[str, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Refresh:
    """Tell these connections that events can't bring them up to date.

    ``place`` is the channel or the route that this is about, where it is about one.
    """

    connections: tuple[str, ...]
    reason: str
    place: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """Close these connections: their session or user was ended.

    With a reason to ``refresh`` only what they may see is another thing: their
    pages have to be loaded anew.
    """

    connections: tuple[str, ...]
    refresh: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Something that the operator has to know."""

    text: str


Action = Send | Ready | Refresh | End | Report
