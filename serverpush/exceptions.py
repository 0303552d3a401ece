"""What can go wrong, as data in fields and a lower-case sentence in ``str()``."""

from __future__ import annotations

import reprlib
from typing import Any

# Of a value that an error names: enough to recognise it, whatever was sent.
_Brief = reprlib.Repr()
_Brief.maxstring = 100
brief = _Brief.repr


class ServerPushError(Exception):
    """The base of every error that this package raises."""


class InvalidUpdate(ServerPushError):
    """An entry of ``<view>_update`` can't be used.

    Arguments:
        update: the dotted path of the update function, empty while it is unknown.
        index: the entry's place in what the function returned, from 0; None while unknown.
        key: the entry's key that is wrong, empty when the entry itself is.
        value: the value found there.
        valid: what would be valid, as the end of a sentence.
    """

    def __init__(
        self,
        key: str,
        value: Any,
        valid: str,
        *,
        update: str = "",
        index: int | None = None,
    ) -> None:
        super().__init__(key, value, valid)
        self.key = key
        self.value = value
        self.valid = valid
        self.update = update
        self.index = index

    def __str__(self) -> str:
        place = f"{self.update or 'the update function'}"
        if self.index is not None:
            place += f", entry {self.index}"
        if self.key:
            place += f", {self.key!r}"
        return f"{place}: {_shorten(self.value)} is not valid: {self.valid}"


class UpdateFailed(ServerPushError):
    """``<view>_update`` itself raised; the cause is chained."""

    def __init__(self, update: str, error: BaseException) -> None:
        super().__init__(update, error)
        self.update = update
        self.error = error

    def __str__(self) -> str:
        return f"{self.update} raised {type(self.error).__name__}: {self.error}"


class SerializerFailed(ServerPushError):
    """A serializer could not give a payload.

    Arguments:
        update: the update's event name.
        model: the label of the instance's model.
        pk: the instance's key.
        reason: what happened, as the end of a sentence.
    """

    def __init__(self, update: str, model: str, pk: Any, reason: str) -> None:
        super().__init__(update, model, pk, reason)
        self.update = update
        self.model = model
        self.pk = pk
        self.reason = reason

    def __str__(self) -> str:
        return f"update {self.update!r} of {self.model} {self.pk}: {self.reason}"


class WriteRefused(ServerPushError):
    """A rendering tried to write to the database while ``DEBUG`` is on."""

    def __init__(self, update: str, statement: str) -> None:
        super().__init__(update, statement)
        self.update = update
        self.statement = statement

    def __str__(self) -> str:
        return (
            f"update {self.update!r} may only read, but its serializer runs "
            f"{_shorten(self.statement)}; move the write out of what a page push renders"
        )


class PageTooLarge(ServerPushError):
    """A page's updates do not fit into its token.

    Arguments:
        path: the page's.
        size: bytes that the token would have.
        limit: bytes that it may have.
        updates: how many updates the page has.
    """

    def __init__(self, path: str, size: int, limit: int, updates: int) -> None:
        super().__init__(path, size, limit, updates)
        self.path = path
        self.size = size
        self.limit = limit
        self.updates = updates

    def __str__(self) -> str:
        return (
            f"the {self.updates} updates of {self.path} make a token of {self.size} bytes, and "
            f"{self.limit} is the most: use fewer updates, or shorter params and data"
        )


class BadToken(ServerPushError):
    """A token that was not signed by this project, or not for this use."""

    code = "bad_token"

    def __str__(self) -> str:
        return "this token was not made by this site"


class TokenExpired(BadToken):
    """A token older than ``SERVERPUSH_TOKEN_MAX_AGE`` seconds."""

    code = "token_expired"

    def __str__(self) -> str:
        return "this token is too old: load the page again"


class UnknownModel(ServerPushError):
    """A label that names no model of this project; ``place`` is where it stands, if known."""

    def __init__(self, label: str, near: str = "", place: str = "") -> None:
        super().__init__(label, near, place)
        self.label = label
        self.near = near
        self.place = place

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        hint = f"; the nearest is {self.near!r}" if self.near else ""
        return f"{place}there is no model {brief(self.label)}{hint}"


class LogUnavailable(ServerPushError):
    """The log that several push servers share can't be reached, or takes nothing now.

    Arguments:
        place: where it is, without a password.
        reason: what was wrong.
        is_full: is there no memory, or disk, left for more?
    """

    def __init__(self, place: str, reason: str, *, is_full: bool = False) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason
        self.is_full = is_full

    def __str__(self) -> str:
        return f"Redis at {self.place} can't be used: {self.reason}"


class InvalidMessage(ServerPushError, ValueError):
    """A message that can't be sent; the text says what of it, and what would be valid."""


class ConnectionRefused(ServerPushError):
    """The push server refused a client's connection or subscription.

    Arguments:
        code: one of those that the wire has for it, such as ``session_mismatch``.
        message: why, in a sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class PushServerAway(ServerPushError):
    """The push server was asked, and did not answer.

    Arguments:
        reason: what happened instead.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the push server can't be asked: {self.reason}"


class BadMessage(ServerPushError):
    """Something that came over a socket is not of the protocol's shape."""


def _shorten(value: Any, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class ChildFailed(ServerPushError):
    """A process of the push server's can't start; the message says why."""


class CannotStart(ServerPushError):
    """The push server can't start; the message says why and what to do."""
