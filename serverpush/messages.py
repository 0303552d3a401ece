"""Messages: data that is sent by name, and the topics that it is sent to.

A topic is everybody, a user, a channel or a route, as one text. Nothing here needs
Django, so that the core of the push server can be tested without it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2s
from typing import Any

from serverpush.exceptions import BadMessage, brief
from serverpush.protocol import seconds_of

Topic = str
"""``all``, ``user:7``, ``channel:news`` or ``route:/api/books/1/``."""

EVERYBODY: Topic = "all"
USERS = "user:"
"""How the topics of users begin."""
EVENT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
# Events of the client itself: Socket.IO's own, and the page's control events.
RESERVED = frozenset(
    {
        "connect",
        "__disconnect_final",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        "refresh",
        "logout",
    }
)
PRESENCE = "presence"
"""The event by which a channel tells who is there."""
# Characters of a channel's id, and of a route.
MAX_CHANNEL = 200
MAX_ROUTE = 2000
# Bytes of one message's data, which has to fit into a body of the notifier port.
MAX_DATA = 900_000
# Bytes of an event beside it: names of events, channels and routes.
MAX_NAMES = 16_384
# Lists and objects within each other.
MAX_DEPTH = 200
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(r"[\[\]{}]")

# Where a message goes unless its sender names another event.
_EVENTS = {"all": "message", "user": "message", "channel": "channel", "route": "route"}


def most_data(send_buffer: int) -> int:
    """Bytes that one message's data may have where so many may wait for a client."""
    return min(MAX_DATA, send_buffer - min(MAX_NAMES, send_buffer // 2))


def user_topic(user: Any) -> Topic:
    """What is sent to a user, by the user's primary key."""
    return f"{USERS}{user}"


def channel_topic(channel: Any) -> Topic:
    """What is sent to a channel; raises ``BadMessage`` for an id that none can have."""
    return f"channel:{_named('a channel', channel, MAX_CHANNEL)}"


def route_topic(route: Any) -> Topic:
    """What is sent along a route; raises ``BadMessage`` for one that can't be."""
    return f"route:{_named('a route', route, MAX_ROUTE)}"


def place_of(topic: Topic) -> dict[str, str]:
    """What an event's ``meta`` says of its topic: the channel's id or the route."""
    kind, _, name = topic.partition(":")
    return {kind: name} if kind in ("channel", "route") else {}


def event_of(topic: Topic) -> str:
    """The event that a topic's messages have where their sender names none."""
    return _EVENTS[topic.partition(":")[0]]


def checked_event(name: Any) -> str:
    """An event's name; raises ``BadMessage`` for one that can't be."""
    if not isinstance(name, str) or not EVENT.match(name):
        raise BadMessage(
            f"an event's name is a letter or _, then letters, digits and _ . -, 64 at most, "
            f"not {brief(name)}"
        )
    if name in RESERVED:
        raise BadMessage(f"the event {name!r} is the client's own: choose another name")
    if name == PRESENCE:
        raise BadMessage(f"the event {name!r} tells who is in a channel: choose another name")
    return name


def _named(what: str, name: Any, most: int) -> str:
    if not isinstance(name, str):
        raise BadMessage(f"{what} is named by a text, not {brief(name)}")
    if not 0 < len(name) <= most:
        raise BadMessage(f"the name of {what} has 1 to {most} characters, not {len(name)}")
    # Control characters, and halves of a character that UTF-8 can't hold.
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in name):
        raise BadMessage(f"the name of {what} has no control characters, as {brief(name)} has")
    return name


@dataclass(frozen=True, slots=True)
class Message:
    """Data sent by name.

    ``data`` is a JSON text; ``at`` is when it was sent, in seconds since the epoch
    by the sender's clock, 0 for just now. ``name`` is what clients know it by, should it
    come again after a crash of the push server; empty: its position.
    """

    topics: tuple[Topic, ...]
    event: str
    data: str
    at: float = 0
    name: str = ""

    def named(self, batch: str, place: int) -> Message:
        """The one at a place of a batch: the same batch that comes again has the same ones."""
        if not batch:
            return self
        told = json.dumps([batch, place, self.event, self.data])
        return replace(self, name=blake2s(told.encode(), digest_size=8).hexdigest())

    def to_text(self) -> str:
        """JSON as ``POST /publish`` takes it; the data is text already, and stays as it is."""
        head = json.dumps({"to": _audience(self.topics), "event": self.event, "at": self.at})
        return f'{head[:-1]}, "data": {self.data}}}'

    @classmethod
    def from_json(cls, value: Any, most: int = MAX_DATA) -> Message:
        """Check the shape of a body of ``/publish``; raises ``BadMessage``.

        ``most`` is how many bytes its data may have.
        """
        if not isinstance(value, dict):
            raise BadMessage(f"a message is an object, not {type(value).__name__}")
        unknown = set(value) - {"to", "event", "data", "at"}
        if unknown:
            raise BadMessage(f"a message has to, event, data and at, not {brief(sorted(unknown))}")
        if "to" not in value or "data" not in value:
            raise BadMessage("a message has to and data, and perhaps event and at")
        topics = _topics(value["to"])
        kind = topics[0] if topics else user_topic("")
        event = checked_event(value.get("event", event_of(kind)))
        return cls(topics, event, encoded(value["data"], most), seconds_of(value.get("at", 0)))


def encoded(data: Any, most: int = MAX_DATA) -> str:
    """Data that was JSON already, as text; raises ``BadMessage`` for NaN, and for too much."""
    try:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadMessage("data holds half a character, which can't be sent") from None
    except RecursionError:
        raise BadMessage(f"data may have {MAX_DEPTH} lists and objects within each other") from None
    except ValueError:
        raise BadMessage("data holds NaN or infinity, which is no JSON") from None
    if not is_shallow(text):
        raise BadMessage(f"data may have {MAX_DEPTH} lists and objects within each other")
    if size > most:
        raise BadMessage(f"data may have {most} bytes as JSON, not {size}")
    return text


def is_shallow(text: str) -> bool:
    """May everybody read it? Parsers have an end to how deep they go."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return True
    depth = 0
    for bracket in _BRACKETS.findall(_TEXTS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return False
    return True


def _topics(to: Any) -> tuple[Topic, ...]:
    if to == "all":
        return (EVERYBODY,)
    if isinstance(to, dict) and len(to) == 1:
        ((kind, value),) = to.items()
        if kind == "channel":
            return (channel_topic(value),)
        if kind == "route":
            return (route_topic(value),)
        if kind == "users":
            return _users(value)
    raise BadMessage(
        'to is "all", {"users": [1]}, {"channel": "id"} or {"route": "/path/"}, '
        f"not {brief(to)}"
    )


def _users(value: Any) -> tuple[Topic, ...]:
    if not isinstance(value, list):
        raise BadMessage(f"users is a list of keys, not {type(value).__name__}")
    for each in value:
        if isinstance(each, bool) or not isinstance(each, int | str):
            raise BadMessage(f"users holds numbers and texts, not {brief(each)}")
    return tuple(dict.fromkeys(user_topic(each) for each in value))


def _audience(topics: Iterable[Topic]) -> Any:
    names = [topic.partition(":")[2] for topic in topics]
    kinds = {topic.partition(":")[0] for topic in topics}
    if kinds == {"all"}:
        return "all"
    if kinds <= {"user"}:
        return {"users": names}
    (kind,) = kinds
    return {kind: names[0]}
