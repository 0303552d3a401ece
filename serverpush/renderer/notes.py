"""Notes: what a rendering reads of its request.

A result serves whoever would have given the same answers to all that was read. So a note is
the name of a source, whose value the push server knows for each connection: ``path``,
``query``, ``address``, ``cookies`` for all of them, ``cookie:NAME`` and ``header:name``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.http.request import HttpHeaders

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
EVERYTHING = frozenset(_SOURCES.values())
"""All that makes two connections' requests different."""


class Notes:
    """The sources that were read, but for what was read while it was paused."""

    def __init__(self) -> None:
        self._sources: set[str] = set()
        self._is_paused = False

    def add(self, *sources: str) -> None:
        if not self._is_paused:
            self._sources.update(sources)

    @property
    def is_paused(self) -> bool:
        return self._is_paused

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
        yield from self._switched(True)

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """For the project's code, called from such code."""
        yield from self._switched(False)

    def _switched(self, is_paused: bool) -> Iterator[None]:
        before, self._is_paused = self._is_paused, is_paused
        try:
            yield
        finally:
            self._is_paused = before


def session_source() -> str:
    return f"cookie:{settings.SESSION_COOKIE_NAME}"


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

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self.copy())


class Environ(Noting):
    """A request's environ, and its ``META``."""

    def _one(self, key: Any) -> None:
        source = _SOURCES.get(key)
        if source is not None:
            self._notes.add(source)
        elif key == "CSRF_COOKIE" and not settings.CSRF_USE_SESSIONS:
            self._notes.add(f"cookie:{settings.CSRF_COOKIE_NAME}")
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
        with notes.paused():
            super().__init__(environ)
        self._notes = notes

    def __getitem__(self, key: str) -> str:
        source = _SOURCES.get(f"HTTP_{key.upper().replace('-', '_')}")
        if source is not None:
            self._notes.add(source)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self._notes.add(*EVERYTHING)
        return super().__iter__()

    def __len__(self) -> int:
        self._notes.add(*EVERYTHING)
        return super().__len__()
