"""What the push server asks of its renderers: jobs, to and from JSON."""

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
class IdentifyJob:
    """Find out whose sessions these are, by their keys."""

    keys: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"job": "identify", "keys": list(self.keys)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> IdentifyJob:
        return cls(tuple(value["keys"]))


@dataclass(frozen=True, slots=True)
class UsersJob:
    """Find out whether there are these users, by their keys as text, and perhaps their tokens."""

    users: tuple[str, ...]
    tokens: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"job": "users", "users": list(self.users), "tokens": self.tokens}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> UsersJob:
        return cls(tuple(value["users"]), value["tokens"])


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


Job = MatchJob | RenderJob | ResolveJob | AccessJob | IdentifyJob | UsersJob | SubscribeJob

_KINDS: dict[str, type[Job]] = {
    "match": MatchJob,
    "render": RenderJob,
    "resolve": ResolveJob,
    "access": AccessJob,
    "identify": IdentifyJob,
    "users": UsersJob,
    "subscribe": SubscribeJob,
}


def job_from_json(value: dict[str, Any]) -> Job:
    """Read any of the jobs; raises ``BadMessage`` for another kind."""
    kind = _KINDS.get(value.get("job", ""))
    if kind is None:
        raise BadMessage(f"{value.get('job')!r} is not a job")
    return kind.from_json(value)
