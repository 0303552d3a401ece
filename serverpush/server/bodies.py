"""Bodies: what is reported to the push server, checked, and with keys as the models have them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from serverpush.exceptions import BadMessage, UnknownModel, brief
from serverpush.messages import MAX_DATA, USERS, Message, user_topic
from serverpush.protocol import Change, Ending, Key, KeyKind, ModelInfo

MAX_BATCH_KEY = 64
MAX_GAP = 500


def _uuid(pk: Key) -> str:
    """The one spelling by which pages name it."""
    return str(uuid.UUID(str(pk)))


_KEYS: dict[KeyKind, tuple[Callable[[Key], Key], str]] = {
    "integer": (int, "a number"),
    "uuid": (_uuid, "a UUID"),
    "text": (str, "a text"),
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What one body says, in this order: a gap's reason ("": none), changes, messages, an ending.

    ``batch`` is the key under which it may come again; "" where it can't be told from others.
    """

    batch: str
    gap: str = ""
    changes: tuple[Change, ...] = ()
    messages: tuple[Message, ...] = ()
    ending: Ending | None = None

    def __len__(self) -> int:
        ended = self.ending
        keys = () if ended is None else (ended.users, ended.sessions, ended.changed, ended.doubtful)
        return len(self.changes) + len(self.messages) + sum(map(len, keys))


class Bodies:
    """Reads the JSON objects of the notifier port (contract, section 9).

    What it reads raises ``BadMessage``, or ``UnknownModel``, naming what is wrong and where.

    Arguments:
        models: what is known of each model, by label.
        users: the label of the user model, empty where there is none.
    """

    def __init__(self, models: dict[str, ModelInfo], users: str) -> None:
        self._models = models
        self._users = models[users].key if users in models else None

    def changes(self, body: dict[str, Any]) -> Reported:
        """A body of ``/notify``."""
        batch, gap, body = _parted(body)
        if not {"changes"} <= set(body) <= {"changes", "messages"}:
            raise BadMessage(
                "the body is an object with changes, and perhaps messages, batch and gap"
            )
        return Reported(
            batch,
            gap,
            _each("changes", body["changes"], "{model, pk, action}", self._change),
            _each(
                "messages",
                body.get("messages", []),
                "{to, event, data}",
                lambda place, each: self._message(each, batch, place),
            ),
        )

    def message(self, body: dict[str, Any], most: int) -> Reported:
        """A body of ``/publish``, whose data may have ``most`` bytes."""
        batch, gap, body = _parted(body)
        return Reported(batch, gap, messages=(self._message(body, batch, 0, most),))

    def ending(self, body: dict[str, Any]) -> Reported:
        """A body of ``/disconnect``."""
        batch, gap, body = _parted(body)
        ending = Ending.from_json(body)
        spelled = replace(
            ending,
            users=self._user_keys(ending.users),
            changed=self._user_keys(ending.changed),
            doubtful=self._user_keys(ending.doubtful),
        )
        return Reported(batch, gap, ending=spelled)

    def _change(self, place: int, value: Any) -> Change:
        change = Change.from_json(value)
        info = self._models.get(change.model)
        if info is None:
            raise UnknownModel(change.model)
        read, meaning = _KEYS[info.key]
        try:
            return replace(change, pk=read(change.pk))
        except ValueError:
            raise BadMessage(f"pk of {change.model} is {meaning}, not {brief(change.pk)}") from None

    def _message(self, value: Any, batch: str, place: int, most: int = MAX_DATA) -> Message:
        message = Message.from_json(value, most)
        if any(topic.startswith(USERS) for topic in message.topics):
            keys = self._user_keys([topic.removeprefix(USERS) for topic in message.topics])
            message = replace(message, topics=tuple(map(user_topic, keys)))
        return message.named(batch, place)

    def _user_keys(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Each once, in the one spelling that it has."""
        if not keys:
            return ()
        if self._users is None:
            raise BadMessage("this project has no users")
        read, meaning = _KEYS[self._users]
        try:
            return tuple(dict.fromkeys(str(read(key)) for key in keys))
        except ValueError:
            raise BadMessage(
                f"the key of a user is {meaning}, not all of {brief(list(keys))}"
            ) from None


def _parted(body: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The key of the batch, the reason of a gap, and the rest."""
    rest = dict(body)
    batch, gap = rest.pop("batch", ""), rest.pop("gap", "")
    if not isinstance(batch, str) or not isinstance(gap, str):
        raise BadMessage("batch and gap are texts")
    if len(batch) > MAX_BATCH_KEY or len(gap) > MAX_GAP:
        raise BadMessage(f"batch may have {MAX_BATCH_KEY} characters, gap {MAX_GAP}")
    return batch, gap, rest


def _each(name: str, value: Any, of: str, read: Callable[[int, Any], Any]) -> tuple[Any, ...]:
    """What is read of each entry of a list; what is wrong with one says which."""
    if not isinstance(value, list):
        raise BadMessage(f"{name} is a list of {of}")
    found = []
    for place, each in enumerate(value):
        try:
            found.append(read(place, each))
        except BadMessage as error:
            raise BadMessage(f"{name}[{place}]: {error}") from None
        except UnknownModel as error:
            error.place = f"{name}[{place}]"
            raise
    return tuple(found)
