"""What renderers answer: the result of each kind of job, to and from JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from serverpush.protocol import Page

EVERYTHING = frozenset(
    {"address", "cookies", "header:accept-language", "header:user-agent", "path", "query"}
)
"""All that a rendering may read of its request: what makes two connections' requests different.

Sources go by these names, and ``cookie:NAME`` is one of the cookies.
"""


@dataclass(frozen=True, slots=True)
class MatchResult:
    """``values`` are the fetched fields, None where the instance is gone.

    ``unknown`` are the conditions that the database could not decide. Where it
    could not be asked at all, ``error`` says why and the rest says nothing.
    """

    values: dict[str, Any] | None
    met: frozenset[int] = frozenset()
    unknown: frozenset[int] = frozenset()
    error: str = ""

    def __or__(self, other: MatchResult) -> MatchResult:
        """Both parts of an answer, of which the first has the values."""
        return MatchResult(self.values, self.met | other.met, self.unknown | other.unknown)

    def to_json(self) -> dict[str, Any]:
        return {
            "values": self.values,
            "met": sorted(self.met),
            "unknown": sorted(self.unknown),
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MatchResult:
        return cls(
            value["values"],
            frozenset(value["met"]),
            frozenset(value["unknown"]),
            value["error"],
        )


@dataclass(frozen=True, slots=True)
class RenderResult:
    """What became of a rendering.

    ``done``: ``payload`` is JSON text, and ``page`` the page anew where a view
    ran again with its update function. ``gone``: the instance is no more.
    ``refused``: this visitor may not see it. ``failed``: ``error`` says why. ``reads`` names
    what was read of the request: who would have given the same answers gets the same.
    """

    status: Literal["done", "gone", "refused", "failed"]
    payload: str = ""
    error: str = ""
    page: Page | None = None
    reads: tuple[str, ...] = field(default=tuple(sorted(EVERYTHING)), compare=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "payload": self.payload,
            "error": self.error,
            "page": None if self.page is None else self.page.to_json(),
            "reads": list(self.reads),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RenderResult:
        page = value["page"]
        return cls(
            value["status"],
            value["payload"],
            value["error"],
            None if page is None else Page.from_json(page),
            tuple(value["reads"]),
        )


@dataclass(frozen=True, slots=True)
class ResolveResult:
    """The page that the URL gives this visitor; None where there is none to see.

    ``has_failed`` tells that this could not be found out: another try may find one.
    """

    page: Page | None
    error: str = ""
    has_failed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "page": None if self.page is None else self.page.to_json(),
            "error": self.error,
            "has_failed": self.has_failed,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ResolveResult:
        page = value["page"]
        return cls(
            None if page is None else Page.from_json(page), value["error"], value["has_failed"]
        )


@dataclass(frozen=True, slots=True)
class AccessResult:
    """``stamps`` answer the visits one by one.

    None: the session, or its user's access, has ended. Else a text that is
    another one when the user's permissions are; "" for nobody's session. Those in
    ``unknown`` places say nothing: the project's own code raised, ``error`` says
    what. Where nothing at all could be found out ``error`` says why, and there
    are none.
    """

    stamps: tuple[str | None, ...]
    error: str = ""
    unknown: frozenset[int] = frozenset()

    def to_json(self) -> dict[str, Any]:
        return {
            "stamps": list(self.stamps),
            "error": self.error,
            "unknown": sorted(self.unknown),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AccessResult:
        return cls(tuple(value["stamps"]), value["error"], frozenset(value["unknown"]))


@dataclass(frozen=True, slots=True)
class IdentifyResult:
    """``users`` are the users' keys as text, "" where nobody is logged in.

    None where the project's own code raised, ``error`` says what. Where nothing at
    all could be found out ``error`` says why, and there are none.
    """

    users: tuple[str | None, ...]
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"users": list(self.users), "error": self.error}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> IdentifyResult:
        return cls(tuple(value["users"]), value["error"])


@dataclass(frozen=True, slots=True)
class UsersResult:
    """``found`` answers the users one by one: None where there is none.

    Else the hash of the user's token; "" where that was not asked for, and where there is
    none. Those in ``unknown`` places say nothing: the project's tokenizer raised, ``error``
    says what. Where nothing at all could be found out ``error`` says why, and there are none.
    """

    found: tuple[str | None, ...]
    error: str = ""
    unknown: frozenset[int] = frozenset()

    def to_json(self) -> dict[str, Any]:
        return {"found": list(self.found), "error": self.error, "unknown": sorted(self.unknown)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> UsersResult:
        return cls(tuple(value["found"]), value["error"], frozenset(value["unknown"]))


@dataclass(frozen=True, slots=True)
class SubscribeResult:
    """Whether the page may subscribe, and whose it is: the user's key as text, and name.

    ``error``: the project's own code raised, or could not be asked.
    """

    allowed: bool
    user: str = ""
    name: str = ""
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "allowed": self.allowed,
            "user": self.user,
            "name": self.name,
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SubscribeResult:
        return cls(value["allowed"], value["user"], value["name"], value["error"])


Result = (
    MatchResult
    | RenderResult
    | ResolveResult
    | AccessResult
    | IdentifyResult
    | UsersResult
    | SubscribeResult
)
