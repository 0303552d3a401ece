"""What the push server asks of its renderers: jobs and results, to and from JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from serverpush.exceptions import BadMessage
from serverpush.protocol import Key, Page, Serializer, Visitor


@dataclass(frozen=True, slots=True)
class MatchJob:
    """Ask the database which conditions on ``model`` the instance ``pk`` meets.

    ``fields`` are to be fetched; ``conditions`` maps an id to an encoded ``Q``
    that only the database can decide.
    """

    model: str
    pk: Key
    fields: tuple[str, ...]
    conditions: tuple[tuple[int, str], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "job": "match",
            "model": self.model,
            "pk": self.pk,
            "fields": list(self.fields),
            "conditions": [list(each) for each in self.conditions],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MatchJob:
        return cls(
            value["model"],
            value["pk"],
            tuple(value["fields"]),
            tuple((number, query) for number, query in value["conditions"]),
        )


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
class RenderJob:
    """Serialize one instance for a page as one of its visitors would see it.

    ``present`` is False where the instance stopped matching: the serializer
    then gets a stand-in that has ``pk`` and ``_meta``.
    """

    name: str
    model: str
    pk: Key
    present: bool
    serializer: Serializer
    data: str
    page: Page
    visitor: Visitor

    def to_json(self) -> dict[str, Any]:
        return {
            "job": "render",
            "name": self.name,
            "model": self.model,
            "pk": self.pk,
            "present": self.present,
            "serializer": self.serializer.to_json(),
            "data": self.data,
            "page": self.page.with_dependencies((), self.page.time, self.page.recorded).to_json(),
            "visitor": self.visitor.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RenderJob:
        return cls(
            value["name"],
            value["model"],
            value["pk"],
            value["present"],
            Serializer.from_json(value["serializer"]),
            value["data"],
            Page.from_json(value["page"]),
            Visitor.from_json(value["visitor"]),
        )


@dataclass(frozen=True, slots=True)
class RenderResult:
    """What became of a rendering.

    ``done``: ``payload`` is JSON text, and ``page`` the page anew where a view
    ran again with its update function. ``gone``: the instance is no more.
    ``refused``: this visitor may not see it. ``failed``: ``error`` says why.
    """

    status: Literal["done", "gone", "refused", "failed"]
    payload: str = ""
    error: str = ""
    page: Page | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "payload": self.payload,
            "error": self.error,
            "page": None if self.page is None else self.page.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RenderResult:
        page = value["page"]
        return cls(
            value["status"],
            value["payload"],
            value["error"],
            None if page is None else Page.from_json(page),
        )


@dataclass(frozen=True, slots=True)
class ResolveJob:
    """Resolve a URL and run its update function, for a connection by ``url``.

    ``page`` carries path, query, host and secure; the rest is found out.
    """

    page: Page
    visitor: Visitor

    def to_json(self) -> dict[str, Any]:
        return {
            "job": "resolve",
            "page": self.page.to_json(),
            "visitor": self.visitor.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ResolveJob:
        return cls(Page.from_json(value["page"]), Visitor.from_json(value["visitor"]))


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
class AccessJob:
    """Find out who may still see what was rendered for them.

    ``visits`` are pairs of a session's key and the user that a page was rendered
    for, as text; either may be empty: a page need not be bound to it.
    """

    visits: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        return {"job": "access", "visits": [list(each) for each in self.visits]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AccessJob:
        return cls(tuple((session, user) for session, user in value["visits"]))


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
class IdentifyJob:
    """Find out whose sessions these are, by their keys."""

    keys: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"job": "identify", "keys": list(self.keys)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> IdentifyJob:
        return cls(tuple(value["keys"]))


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
class SubscribeJob:
    """Ask the project about a page's subscription to a channel, or tell it.

    ``user`` is whose page it is, as far as that is known, where the visitor's cookie
    does not say it (any more). ``asks``: may it subscribe without a token?
    ``signal`` is which of the signals is sent: ``subscribe``, ``unsubscribe`` or "".
    """

    channel: str
    page: Page
    visitor: Visitor
    user: str = ""
    asks: bool = False
    signal: Literal["", "subscribe", "unsubscribe"] = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "job": "subscribe",
            "channel": self.channel,
            "page": self.page.with_dependencies((), self.page.time, self.page.recorded).to_json(),
            "visitor": self.visitor.to_json(),
            "user": self.user,
            "asks": self.asks,
            "signal": self.signal,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SubscribeJob:
        return cls(
            value["channel"],
            Page.from_json(value["page"]),
            Visitor.from_json(value["visitor"]),
            value["user"],
            value["asks"],
            value["signal"],
        )


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


Job = MatchJob | RenderJob | ResolveJob | AccessJob | IdentifyJob | SubscribeJob
Result = (
    MatchResult | RenderResult | ResolveResult | AccessResult | IdentifyResult | SubscribeResult
)

_KINDS: dict[str, type[Job]] = {
    "match": MatchJob,
    "render": RenderJob,
    "resolve": ResolveJob,
    "access": AccessJob,
    "identify": IdentifyJob,
    "subscribe": SubscribeJob,
}


def job_from_json(value: dict[str, Any]) -> Job:
    """Read any of the jobs; raises ``BadMessage`` for another kind."""
    kind = _KINDS.get(value.get("job", ""))
    if kind is None:
        raise BadMessage(f"{value.get('job')!r} is not a job")
    return kind.from_json(value)
