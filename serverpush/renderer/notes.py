"""Notes: what a rendering reads of its request.

A result serves whoever would have given the same answers to all that was read. So a note is
the name of a source, whose value the push server knows for each connection: one of
``results.EVERYTHING``, or ``cookie:NAME``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.http.request import HttpHeaders

from serverpush.results import EVERYTHING

# What the push server made up, or has for all in common; see requests.py.
_CONSTANT = frozenset(
    {
        "REQUEST_METHOD",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "HTTP_HOST",
        "HTTP_ACCEPT",
        "HTTP_X_REQUESTED_WITH",
        "HTTPS",
        "REQUEST_SCHEME",
    }
)
_SOURCES = {
    "PATH_INFO": "path",
    "SCRIPT_NAME": "path",
    "SCRIPT_URL": "path",
    "PATH_TRANSLATED": "path",
    "QUERY_STRING": "query",
    "REMOTE_ADDR": "address",
    "HTTP_COOKIE": "cookies",
    "HTTP_ACCEPT_LANGUAGE": "header:accept-language",
    "HTTP_USER_AGENT": "header:user-agent",
}
_CSRF = ("CSRF_COOKIE", "CSRF_COOKIE_NEEDS_UPDATE")


# Whose notes are paused: here, and not in a thread that the project's code has started.
_paused: ContextVar[Notes | None] = ContextVar("serverpush_paused_notes", default=None)


class Notes:
    """The sources that were read, but for what was read while it was paused."""

    def __init__(self) -> None:
        self._sources: set[str] = set()

    def add(self, *sources: str) -> None:
        if _paused.get() is not self:
            self._sources.update(sources)

    @property
    def sources(self) -> frozenset[str]:
        """What was read, each once: who reads all cookies reads each."""
        found = self._sources
        if "cookies" in found:
            found = {each for each in found if not each.startswith("cookie:")}
        return frozenset(found)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For code of which it is known what it makes of what it reads."""
        yield from _switched(self)

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """For the project's code, called from such code."""
        yield from _switched(None)


def _switched(notes: Notes | None) -> Iterator[None]:
    token = _paused.set(notes)
    try:
        yield
    finally:
        _paused.reset(token)


def session_source() -> str:
    return f"cookie:{settings.SESSION_COOKIE_NAME}"


def csrf_source() -> str:
    """Where the middleware has the secret from that it puts into ``META``."""
    if settings.CSRF_USE_SESSIONS:
        return session_source()
    return f"cookie:{settings.CSRF_COOKIE_NAME}"


def _is_constant(key: Any) -> bool:
    return key in _CONSTANT or str(key).startswith("wsgi.")


class Noting(dict[str, Any]):
    """A dict that notes what is read of it."""

    def __init__(self, values: Mapping[str, Any], notes: Notes) -> None:
        super().__init__(values)
        self._notes = notes

    def _one(self, key: Any) -> None:
        """Note that a key is read, or that it is looked for."""
        raise NotImplementedError

    def _all(self) -> None:
        """Note that all is read, or how many there are."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        self._one(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._one(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._one(key)
        return super().__contains__(key)

    def pop(self, key: str, *default: Any) -> Any:
        self._one(key)
        return super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._one(key)
        return super().setdefault(key, default)

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[str]:
        self._all()
        return super().__reversed__()

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def keys(self) -> Any:
        self._all()
        return super().keys()

    def values(self) -> Any:
        self._all()
        return super().values()

    def items(self) -> Any:
        self._all()
        return super().items()

    def popitem(self) -> tuple[str, Any]:
        self._all()
        return super().popitem()

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    def __ne__(self, other: object) -> bool:
        return self.copy() != other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self.copy())


class Environ(Noting):
    """A request's environ, and its ``META``."""

    def _one(self, key: Any) -> None:
        source = _SOURCES.get(key)
        if source is not None:
            self._notes.add(source)
        elif key in _CSRF:
            # Whether it is there or not, it is the middleware's finding.
            self._notes.add(csrf_source())
        elif dict.__contains__(self, key) and not _is_constant(key):
            # Somebody has put it there, who knows from what.
            self._all()

    def _all(self) -> None:
        self._notes.add(*EVERYTHING)


class Cookies(Noting):
    """``request.COOKIES``."""

    def _one(self, key: Any) -> None:
        self._notes.add(f"cookie:{key}")

    def _all(self) -> None:
        self._notes.add("cookies")


class Headers(HttpHeaders):
    """``request.headers`` that notes which are read."""

    def __init__(self, environ: Mapping[str, Any], notes: Notes) -> None:
        self._notes = notes
        with notes.paused():
            super().__init__(environ)

    def __getitem__(self, key: str) -> str:
        source = _SOURCES.get(f"HTTP_{key.upper().replace('-', '_')}")
        if source is not None:
            self._notes.add(source)
        with self._notes.paused():
            return super().__getitem__(key)

    def _get_store(self) -> dict[str, tuple[str, str]]:
        self._notes.add(*EVERYTHING)
        return self._headers

    def _set_store(self, headers: dict[str, tuple[str, str]]) -> None:
        self._headers = headers

    # What the base reads of itself, whatever it is asked but for one header.
    _store = property(_get_store, _set_store)
