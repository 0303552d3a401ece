"""Messages: what a project sends by name to users, to everybody, to channels and along routes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, models, router
from django.utils import timezone

from serverpush.conf import config
from serverpush.exceptions import BadMessage, InvalidMessage, brief
from serverpush.messages import (
    EVERYBODY,
    MAX_DEPTH,
    Message,
    Topic,
    channel_topic,
    checked_event,
    event_of,
    is_shallow,
    most_data,
    route_topic,
    user_topic,
)
from serverpush.protocol import Ending
from serverpush.reporting import is_suppressed
from serverpush.signals import post_send_update, pre_send_update
from serverpush.tokens import user_key
from serverpush.web.commits import after_commit
from serverpush.web.outbox import outbox
from serverpush.web.routes import plain

Default = Callable[[Any], Any]

# Bytes of the keys of one message's users; more get several messages, which are equal.
MAX_KEYS = 100_000
# Keys that one query asks about.
MAX_ASKED = 500


def notify(
    data: Any,
    users: Iterable[Any],
    event: str = "message",
    *,
    serializer: Default | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Send data to every connection of these users.

    Arguments:
        data: anything JSON can hold; dates are ISO 8601 in the current time zone.
        users: instances of the user model, or their primary keys.
        event: the event's name in the page.
        serializer: called with what JSON can't hold, returns what it can, as
            ``default`` of ``json.dumps``.
        using: the database whose running transaction has to commit first.

    Costs an append to a queue, and one query where there are keys among the users, since a
    mistyped one would be sent to nobody. Inside ``suppress()``, and in a rendering, which is
    to read only, nothing is sent. Raises ``InvalidMessage``, a ``ValueError``, for data
    that JSON can't hold or that is too much, for a user who is not saved, for a key that no
    user has, and for a name that no event can have; then nothing is sent.
    """
    if isinstance(users, str):
        raise InvalidMessage(f"users are several, as in a list, not {users!r}")
    _checked(checked_event, event)
    users = {_key(user): user for user in users}
    _look_up([key for key, user in users.items() if not isinstance(user, models.Model)])
    topics = tuple(map(user_topic, users))
    for some in _parts(topics):
        _send(some, event, data, serializer, using)


def notify_all(
    data: Any,
    event: str = "message",
    *,
    serializer: Default | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Send data to every connection; see ``notify``."""
    _send((EVERYBODY,), event, data, serializer, using)


def send_update(
    channel_id: str,
    data: Any,
    event: str = "channel",
    *,
    serializer: Default | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Send data to all who are subscribed to a channel; see ``notify``.

    The receivers of ``pre_send_update`` run first, and what they raise is raised here,
    nothing having been sent. Those of ``post_send_update`` run when it is on its way;
    what they raise is logged.
    """
    topic = _checked(channel_topic, channel_id)
    event = _checked(checked_event, event)
    if pre_send_update.has_listeners() and not is_suppressed():
        # They hear of nothing that can't be sent.
        encode(data, serializer)
        pre_send_update.send(sender=send_update, channel_id=channel_id, data=data)

    def sent() -> None:
        post_send_update.send_robust(sender=send_update, channel_id=channel_id, data=data)

    _send((topic,), event, data, serializer, using, sent)


def push_route(
    route: str,
    body: Any,
    type: str = "update",
    *,
    serializer: Default | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Send ``{route, type, body}`` to all who are subscribed to a route; see ``notify``."""
    route = plain(route)
    topic = _checked(route_topic, route)
    if not isinstance(type, str):
        raise InvalidMessage(f"type is a text such as 'update', not {type!r}")
    data = {"route": route, "type": type, "body": body}
    _send((topic,), event_of(topic), data, serializer, using)


def disconnect(*users: Any, using: str = DEFAULT_DB_ALIAS) -> None:
    """End all connections of these users, those by a user's token too.

    Their pages get ``serverpush:logout``, and are refused when they come back with the
    token that they have.

    Arguments:
        users: instances of the user model, or their primary keys.
        using: the database whose running transaction has to commit first.

    A key that no user has is no error: who was just deleted may still be connected. Raises
    ``InvalidMessage`` for a user who is not saved.
    """
    keys = tuple(dict.fromkeys(_key(user) for user in users))
    if keys and not is_suppressed():
        # Timed after the commit: what is rendered from then on goes on.
        after_commit(lambda: outbox.put(Ending(users=keys, at=time.time())), using)


def encode(data: Any, serializer: Default | None = None) -> str:
    """Data as JSON text; raises ``InvalidMessage`` for what can't be, and for too much."""
    try:
        if serializer is None:
            text = json.dumps(data, cls=_Encoder, **_COMPACT)
        else:
            text = json.dumps(data, default=serializer, **_COMPACT)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidMessage("data holds half a character, which can't be sent") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidMessage(f"data can't be sent as JSON: {error}") from error
    if not is_shallow(text):
        raise InvalidMessage(f"data may have {MAX_DEPTH} lists and objects within each other")
    most = most_data(config().send_buffer)
    if size > most:
        raise InvalidMessage(f"data may have {most} bytes as JSON, not {size}")
    return text


_COMPACT: dict[str, Any] = {
    "separators": (",", ":"),
    "ensure_ascii": False,
    "allow_nan": False,
}


class _Encoder(DjangoJSONEncoder):
    """Dates in the current time zone, as a template would show them."""

    def default(self, o: Any) -> Any:
        if isinstance(o, datetime) and timezone.is_aware(o):
            # At the edge of time there is none in another zone.
            with contextlib.suppress(OverflowError):
                o = timezone.localtime(o)
        return super().default(o)


def _send(
    topics: tuple[Topic, ...],
    event: str,
    data: Any,
    serializer: Default | None,
    using: str,
    sent: Callable[[], None] | None = None,
) -> None:
    message = Message(topics, _checked(checked_event, event), encode(data, serializer))
    if is_suppressed():
        return

    def put() -> None:
        outbox.put(replace(message, at=time.time()))
        if sent is not None:
            sent()

    after_commit(put, using)


def _parts(topics: tuple[Topic, ...]) -> Iterator[tuple[Topic, ...]]:
    """As many users at a time as fit into a body of the notifier port beside the data."""
    some: list[Topic] = []
    size = 0
    for topic in topics:
        size += len(json.dumps(topic))
        if some and size > MAX_KEYS:
            yield tuple(some)
            some, size = [], len(json.dumps(topic))
        some.append(topic)
    if some:
        yield tuple(some)


def _key(user: Any) -> str:
    """A user's primary key as text, in the one spelling that it has."""
    if isinstance(user, models.Model) or user is None or isinstance(user, bool):
        return _saved_key(user)
    field: Any = get_user_model()._meta.pk
    try:
        key = field.to_python(user)
    except (ValidationError, TypeError, ValueError, OverflowError):
        raise InvalidMessage(f"{user!r} is neither a user nor the key of one") from None
    return str(key) if key not in (None, "") else _saved_key(user)


def _look_up(keys: list[str]) -> None:
    """Raises ``InvalidMessage`` for keys that no user has."""
    if not keys or is_suppressed():
        return
    model = get_user_model()
    # Where users are written: a copy of the database may not have the newest yet.
    users = model._default_manager.using(router.db_for_write(model))
    found: set[str] = set()
    for begin in range(0, len(keys), MAX_ASKED):
        some = [key for key in keys[begin : begin + MAX_ASKED] if not _is_too_large(key)]
        found |= set(map(str, users.filter(pk__in=some).values_list("pk", flat=True)))
    if missing := [key for key in keys if key not in found]:
        raise InvalidMessage(f"there is no user {', '.join(map(brief, missing[:10]))}")


def _is_too_large(key: str) -> bool:
    """Is this a number that no database has for a key?"""
    return key.removeprefix("-").isdigit() and int(key).bit_length() > 63


def _saved_key(user: Any) -> str:
    try:
        return user_key(user)
    except ValueError as error:
        raise InvalidMessage(str(error)) from None


def _checked(check: Callable[[Any], str], value: Any) -> str:
    try:
        return check(value)
    except BadMessage as error:
        raise InvalidMessage(str(error)) from None
