"""What a rendering leaves as it was: sessions, messages and cached pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.middleware.cache import FetchFromCacheMiddleware

from serverpush.renderer.notes import Notes, session_source

# Where the key is kept, whatever asks for it.
_session_key: Any = SessionBase._session_key


class ReadOnlyCache:
    """A cache that can be asked, and ignores what a session's ``load`` would put there."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __contains__(self, key: str) -> bool:
        return key in self._cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def set(self, *args: Any, **kwargs: Any) -> None:
        """A session read from the database must not come back after a logout."""

    async def aset(self, *args: Any, **kwargs: Any) -> None:
        """As ``set``."""


class ReadOnlySession(SessionBase):
    """Goes before an engine's store: it reads as that does, and keeps nothing.

    Within one rendering a changed session is seen as changed. That its data are read is
    noted in ``serverpush_notes``, where it has some.
    """

    serverpush_notes: Notes | None = None
    _made_key = False
    _cache: Any
    _get_new_session_key: Callable[[], str]
    _aget_new_session_key: Callable[[], Awaitable[str]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if hasattr(self, "_cache"):
            self._cache = ReadOnlyCache(self._cache)

    def _note(self) -> None:
        if self.serverpush_notes is not None:
            self.serverpush_notes.add(session_source())

    def __getstate__(self) -> dict[str, Any]:
        # A copy is read where nobody notes it.
        self._note()
        return {name: each for name, each in vars(self).items() if name != "serverpush_notes"}

    def _get_session(self, no_load: bool = False) -> dict[str, Any]:
        self._note()
        found: dict[str, Any] = super()._get_session(no_load)  # type: ignore[misc]
        return found

    async def _aget_session(self, no_load: bool = False) -> dict[str, Any]:
        self._note()
        found: dict[str, Any] = await super()._aget_session(no_load)  # type: ignore[misc]
        return found

    # As in SessionBase, whose property has that one's function.
    _session = property(_get_session)

    def _noted_key(self) -> Any:
        self._note()
        return _session_key.fget(self)

    session_key = property(_noted_key)
    _session_key = property(_noted_key, _session_key.fset)

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()

    async def asave(self, must_create: bool = False) -> None:
        if self.session_key is None:
            await self.acreate()

    def create(self) -> None:
        """Give the code that asks for it a key, which no browser ever gets."""
        self._session_key = self._get_new_session_key()
        self._be_new()

    async def acreate(self) -> None:
        self._session_key = await self._aget_new_session_key()
        self._be_new()

    def _be_new(self) -> None:
        # Nothing is stored under the new key, so nothing must be looked for.
        self._get_session(no_load=True)
        self._made_key = True
        self.modified = True

    def delete(self, session_key: str | None = None) -> None:
        self.modified = True

    async def adelete(self, session_key: str | None = None) -> None:
        self.modified = True

    def cycle_key(self) -> None:
        """Keep the key: the browser's stays the one that it has."""
        self._get_session()
        self.modified = True

    async def acycle_key(self) -> None:
        await self._aget_session()
        self.modified = True

    @classmethod
    def clear_expired(cls) -> None:
        """Leave them to the site."""

    @classmethod
    async def aclear_expired(cls) -> None:
        """As ``clear_expired``."""

    def forget_made_key(self) -> None:
        if self._made_key:
            self._session_key = None
            self._made_key = False


def replace_session_store() -> None:
    """Make the project's session engine read-only in this process.

    To be called before the middleware loads, which keeps the store it finds.
    """
    engine: Any = import_module(settings.SESSION_ENGINE)
    engine.SessionStore = read_only(engine.SessionStore)


def read_only(store: type[SessionBase]) -> type[SessionBase]:
    if issubclass(store, ReadOnlySession):
        return store
    # Sessions are signed with the store's qualified name as salt.
    names = {"__module__": store.__module__, "__qualname__": store.__qualname__}
    return type(store.__name__, (ReadOnlySession, store), names)


def forget_made_key(request: HttpRequest) -> None:
    """Undo a key that was made here: no browser can come with it."""
    session = getattr(request, "session", None)
    if isinstance(session, ReadOnlySession):
        session.forget_made_key()


def keep_messages(request: Any) -> None:
    """Leave messages unread, whatever their storage is."""
    if hasattr(request, "_messages"):
        request._messages.update = lambda response: []


def bypass_cached_pages() -> None:
    """Neither take a page from Django's page cache in this process, nor put one there.

    A cached page is the one that the change made stale, and what a rendering
    gives (asked by a script) is not what the cache should give a browser.
    """
    middleware: Any = FetchFromCacheMiddleware
    middleware.process_request = _not_cached


def _not_cached(middleware: Any, request: Any) -> None:
    request._cache_update_cache = False
