"""The vocabulary that the site, the push server and the renderers share.

Frozen dataclasses and their JSON. Nothing here needs Django, so that the core
of the push server can be tested without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from serverpush.exceptions import BadMessage, brief

Key = int | str
"""A primary key as JSON has it: a number, or text for everything else."""

KeyKind = Literal["integer", "uuid", "text"]
"""How a model's primary keys are written: a UUID has but one of its spellings."""

ChangeAction = Literal["created", "changed", "deleted"]
CHANGE_ACTIONS: tuple[ChangeAction, ...] = ("created", "changed", "deleted")

PageAction = Literal["added", "changed", "removed"]
PAGE_ACTIONS: tuple[PageAction, ...] = ("added", "changed", "removed")


COMPACT: dict[str, Any] = {
    "separators": (",", ":"),
    "sort_keys": True,
    "allow_nan": False,
    "ensure_ascii": False,
}
_ENCODER = json.JSONEncoder(**COMPACT)


def dump(value: Any) -> str:
    """Compact JSON with sorted keys, so that equal values are equal texts."""
    return _ENCODER.encode(value)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log.

    Ordered by time (milliseconds since the epoch) and number (within one
    millisecond, from 1); ``epoch`` names the life of the log that gave it.
    """

    time: int
    number: int
    epoch: str

    def __str__(self) -> str:
        # In the order of the log as texts, too: of one millisecond of a log that is shared,
        # a number has up to nine digits.
        return f"{self.time:012x}-{self.number:09x}-{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what ``str()`` wrote; raises ``BadMessage`` for anything else."""
        parts = text.split("-")
        try:
            time, number, epoch = int(parts[0], 16), int(parts[1], 16), parts[2]
        except (IndexError, ValueError):
            raise BadMessage(f"{brief(text)} is not a position") from None
        if len(parts) != 3 or str(cls(time, number, epoch)) != text:
            raise BadMessage(f"{brief(text)} is not a position")
        return cls(time, number, epoch)


@dataclass(frozen=True, slots=True)
class Change:
    """A model instance was created, changed or deleted, and that is committed.

    ``at`` is when, in seconds since the epoch by the clock of whoever reports
    it; 0 for just now.
    """

    model: str
    pk: Key
    action: ChangeAction = "changed"
    at: float = 0

    def to_json(self) -> dict[str, Any]:
        return {"model": self.model, "pk": self.pk, "action": self.action, "at": self.at}

    @classmethod
    def from_json(cls, value: Any) -> Change:
        """Check the shape of one entry of ``/notify``; raises ``BadMessage``."""
        if not isinstance(value, dict):
            raise BadMessage(f"a change is an object, not {type(value).__name__}")
        unknown = set(value) - {"model", "pk", "action", "at"}
        if unknown:
            raise BadMessage(f"a change has model, pk, action and at, not {brief(sorted(unknown))}")
        model, pk, action = value.get("model"), value.get("pk"), value.get("action", "changed")
        at = value.get("at", 0)
        if not isinstance(model, str):
            raise BadMessage(f"model is a text like 'app_label.Model', not {brief(model)}")
        if isinstance(pk, bool) or not isinstance(pk, int | str):
            raise BadMessage(f"pk is a number or a text, not {brief(pk)}")
        if action not in CHANGE_ACTIONS:
            raise BadMessage(f"action is one of {', '.join(CHANGE_ACTIONS)}, not {brief(action)}")
        return cls(model.lower(), pk, action, seconds_of(at))


@dataclass(frozen=True, slots=True)
class Gap:
    """Changes were lost here: nobody can be brought over this place by events."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """Access that has ended, or may have.

    The connections of ``users`` (keys as text) and ``sessions`` (hashes) end.
    The pages of users whose permissions have ``changed`` have to be loaded anew,
    and ``doubtful`` users are looked at: their access may have changed. ``at`` is
    when, in seconds since the epoch by the clock of whoever reports it; 0 for just now.
    """

    users: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    at: float = field(default=0, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "users": list(self.users),
            "sessions": list(self.sessions),
            "changed": list(self.changed),
            "doubtful": list(self.doubtful),
            "at": self.at,
        }

    @classmethod
    def from_json(cls, value: Any) -> Ending:
        """Check the shape of a body of ``/disconnect``; raises ``BadMessage``."""
        known = {"users", "sessions", "changed", "doubtful", "at"}
        if not isinstance(value, dict) or set(value) - known:
            raise BadMessage("a body has users, sessions, changed, doubtful and at, no more")
        lists = {name: _texts(name, given) for name, given in value.items() if name != "at"}
        return cls(**lists, at=seconds_of(value.get("at", 0)))


def seconds_of(at: Any) -> float:
    """A time in seconds since the epoch; raises ``BadMessage`` for what is none."""
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 1e11:
        raise BadMessage(f"at is a number of seconds since 1970, not {brief(at)}")
    return at


def _texts(name: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise BadMessage(f"{name} is a list of keys, not {type(given).__name__}")
    for each in given:
        if isinstance(each, bool) or not isinstance(each, int | str):
            raise BadMessage(f"{name} holds numbers and texts, not {brief(each)}")
        if each == "":
            raise BadMessage(f"{name} holds an empty text, which is no key")
    return tuple(str(each) for each in given)


@dataclass(frozen=True, slots=True)
class Condition:
    """Which instances of a model an update is about.

    ``equal`` holds plain equalities, field name (``pk`` for the key) to encoded
    value, all of which must hold; ``query`` is an encoded ``Q`` (see
    ``conditions.py``) that replaces them where equality does not say it all. ``guard``
    holds equalities of which at least one is true wherever the query is; empty where
    none are known.
    """

    model: str
    equal: tuple[tuple[str, Any], ...] = ()
    query: str = ""
    guard: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> Key | None:
        """The one primary key this is about, if that is all there is to it."""
        if not self.query and len(self.equal) == 1 and self.equal[0][0] == "pk":
            key: Key = self.equal[0][1]
            return key
        return None

    @property
    def is_any(self) -> bool:
        return not self.query and not self.equal

    def to_json(self) -> list[Any]:
        guard = [[list(pair) for pair in self.guard]] if self.guard else []
        return [self.model, [list(pair) for pair in self.equal], self.query, *guard]

    @classmethod
    def from_json(cls, value: Any) -> Condition:
        model, equal, query, *guard = value
        return cls(model, _pairs(equal), query, _pairs(*guard))


def _pairs(value: Any = ()) -> tuple[tuple[str, Any], ...]:
    return tuple((field, wanted) for field, wanted in value)


@dataclass(frozen=True, slots=True)
class Serializer:
    """How an instance becomes a payload.

    ``target`` is ``module:qualname`` for a function or a view. ``reads_object``
    is False for a view that takes no object: one run serves all instances.
    ``reads_request`` is False for a field map that never mentions the request.
    """

    kind: Literal["fields", "function", "view"]
    target: str = ""
    reads_object: bool = True
    reads_request: bool = True

    def to_json(self) -> list[Any]:
        return [self.kind, self.target, int(self.reads_object), int(self.reads_request)]

    @classmethod
    def from_json(cls, value: Any) -> Serializer:
        kind, target, reads_object, reads_request = value
        return cls(kind, target, bool(reads_object), bool(reads_request))


@dataclass(frozen=True, slots=True)
class Dependency:
    """One update of a page, compiled.

    ``data`` and ``vary`` are JSON texts, ``vary`` None where it was not
    declared. ``keys`` are the primary keys that met the condition when the page
    was rendered, None where they were too many to list (or need no listing).
    """

    name: str
    condition: Condition
    serializer: Serializer
    data: str = "null"
    vary: str | None = None
    on: tuple[PageAction, ...] = ("added", "changed")
    keys: tuple[Key, ...] | None = None

    def to_json(self) -> list[Any]:
        return [
            self.name,
            self.condition.to_json(),
            self.serializer.to_json(),
            json.loads(self.data),
            None if self.vary is None else [json.loads(self.vary)],
            "".join(action[0] for action in self.on),
            None if self.keys is None else list(self.keys),
        ]

    @classmethod
    def from_json(cls, value: Any) -> Dependency:
        name, condition, serializer, data, vary, on, keys = value
        return cls(
            name=name,
            condition=Condition.from_json(condition),
            serializer=Serializer.from_json(serializer),
            data=dump(data),
            vary=None if vary is None else dump(vary[0]),
            on=tuple(action for action in PAGE_ACTIONS if action[0] in on),
            keys=None if keys is None else tuple(keys),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One rendered page.

    ``time`` is when its request came in and ``recorded`` when its dependencies
    were compiled, both in seconds since the epoch. ``session`` is the hash of
    the session's key and ``user`` the user's key as text, both empty for a page
    that read neither and is the same for everybody.
    """

    path: str
    query: str = ""
    host: str = ""
    secure: bool = False
    script: str = ""
    time: float = 0.0
    recorded: float = 0.0
    language: str = ""
    zone: str = ""
    session: str = ""
    user: str = ""
    dependencies: tuple[Dependency, ...] = ()

    def with_dependencies(
        self, dependencies: tuple[Dependency, ...], time: float, recorded: float
    ) -> Page:
        return replace(self, dependencies=dependencies, time=time, recorded=recorded)

    def to_json(self) -> list[Any]:
        return [
            self.path,
            self.query,
            self.host,
            int(self.secure),
            self.script,
            self.time,
            self.recorded,
            self.language,
            self.zone,
            self.session,
            self.user,
            [dependency.to_json() for dependency in self.dependencies],
        ]

    @classmethod
    def from_json(cls, value: Any) -> Page:
        *plain, dependencies = value
        path, query, host, secure, script, time, recorded, language, zone, session, user = plain
        return cls(
            path,
            query,
            host,
            bool(secure),
            script,
            time,
            recorded,
            language,
            zone,
            session,
            user,
            tuple(Dependency.from_json(each) for each in dependencies),
        )


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a connection's own handshake said: what a rendering for it is made from."""

    cookie: str = ""
    accept_language: str = ""
    user_agent: str = ""
    address: str = ""

    def to_json(self) -> list[Any]:
        return [self.cookie, self.accept_language, self.user_agent, self.address]

    @classmethod
    def from_json(cls, value: Any) -> Visitor:
        return cls(*value)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the push server knows of a model.

    ``family`` are the labels whose conditions a change of this model can touch:
    itself, its concrete model, parents, children and their proxies.
    ``key`` tells how a primary key is written in JSON.
    """

    label: str
    family: tuple[str, ...]
    key: KeyKind
