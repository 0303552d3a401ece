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
        # A copy: the project's threads may still be reading.
        found = frozenset(self._sources)
        if "cookies" in found:
            return frozenset(each for each in found if not each.startswith("cookie:"))
        return found

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


class _Hidden:
    """Stands in a dict for all that it has: it can't be written as JSON, nor as anything."""


_HIDDEN: Any = {"": _Hidden()}


class Noting(dict[str, Any]):
    """A dict that notes what is read of it.

    What reads a dict past its methods, as some extensions in C do, finds what it can't use:
    it would read what nobody has noted. Copies are plain dicts.
    """

    def __init__(self, values: Mapping[str, Any], notes: Notes) -> None:
        super().__init__(_HIDDEN)
        self._values = dict(values)
        self._notes = notes

    # The kinds of dicts below fill these in. ``abstractmethod`` would not enforce it: dict makes
    # its instances itself.

    def _one(self, key: Any) -> None:
        """Note that a key is read, or that it is looked for."""
        raise NotImplementedError

    def _all(self) -> None:
        """Note that all is read, or how many there are."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        self._one(key)
        return self._values[key]

    def get(self, key: str, default: Any = None) -> Any:
        self._one(key)
        return self._values.get(key, default)

    def __contains__(self, key: object) -> bool:
        self._one(key)
        return key in self._values

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._one(key)
        del self._values[key]

    def pop(self, key: str, *default: Any) -> Any:
        self._one(key)
        return self._values.pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._one(key)
        return self._values.setdefault(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._values.update(*args, **kwargs)

    def clear(self) -> None:
        self._values.clear()

    def __iter__(self) -> Iterator[str]:
        self._all()
        return iter(self._values)

    def __reversed__(self) -> Iterator[str]:
        self._all()
        return reversed(self._values)

    def __len__(self) -> int:
        self._all()
        return len(self._values)

    def keys(self) -> Any:
        self._all()
        return self._values.keys()

    def values(self) -> Any:
        self._all()
        return self._values.values()

    def items(self) -> Any:
        self._all()
        return self._values.items()

    def popitem(self) -> tuple[str, Any]:
        self._all()
        return self._values.popitem()

    def copy(self) -> dict[str, Any]:
        self._all()
        return dict(self._values)

    def __reduce__(self) -> Any:
        return dict, (self.copy(),)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __ior__(self, other: Any) -> Any:
        self._values |= other
        return self

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
        elif key in self._values and not _is_constant(key):
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
    """``request.headers`` that notes which are read; copies are as Django's own."""

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

    def __reduce__(self) -> Any:
        return _headers, (dict(self._store),)


def _headers(store: dict[str, tuple[str, str]]) -> HttpHeaders:
    headers = HttpHeaders({})
    headers._store = store
    return headers
