"""The page's request, rebuilt from what the page and its visitor said."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.handlers.wsgi import WSGIRequest, get_bytes_from_wsgi, get_str_from_wsgi
from django.http import QueryDict, parse_cookie
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from serverpush.protocol import Page, Visitor
from serverpush.renderer.notes import Cookies, Environ, Headers, Notes, session_source
from serverpush.renderer.sessions import ReadOnlySession

if TYPE_CHECKING:
    from serverpush.renderer.handler import Task


def _noting(name: str, *sources: str) -> Any:
    """An attribute of which it is noted that it is read; without sources, as the session's."""

    def get(request: PageRequest) -> Any:
        request.serverpush_notes.add(*(sources or [session_source()]))
        return request._kept(name)

    return property(get, lambda request, value: request._keep(name, value))


class PageRequest(WSGIRequest):
    """A request that a renderer makes up, and that notes what is read of it.

    ``serverpush_task`` is what it is for, ``serverpush_language`` the language that its page
    was rendered in. Sessions note by themselves when their data is read, see
    ``ReadOnlySession``; and a lazy user, when it is looked at.
    """

    serverpush_rendering = True
    serverpush_task: Task
    serverpush_language = ""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.serverpush_notes = notes = Notes()
        with notes.paused():
            super().__init__(Environ(environ, notes))

    def _get_user(self) -> Any:
        """The user as the middleware left it; where that is lazy, one that is as lazy."""
        user = self._kept("user")
        if not isinstance(user, LazyObject):
            self.serverpush_notes.add(session_source())
            return user
        if "kept noting user" not in self.__dict__:
            # Of this very one: the project may put another there that asks this one.
            self._keep("noting user", SimpleLazyObject(partial(self._noted, user)))
        return self._kept("noting user")

    def _set_user(self, user: Any) -> None:
        self.__dict__.pop("kept noting user", None)
        self._keep("user", user)

    def _noted(self, user: Any) -> Any:
        # Whoever looks at it first: what it is made from may be the project's to say.
        with self.serverpush_notes.resumed():
            self.serverpush_notes.add(session_source())
            if user._wrapped is empty:
                user._setup()
        return user._wrapped

    def _get_session(self) -> Any:
        session = self._kept("session")
        if not isinstance(session, ReadOnlySession):
            self.serverpush_notes.add(session_source())
        return session

    def _set_session(self, session: Any) -> None:
        if isinstance(session, ReadOnlySession):
            session.serverpush_notes = self.serverpush_notes
        self._keep("session", session)

    def _get_query(self) -> Any:
        self.serverpush_notes.add("query")
        if "kept GET" not in self.__dict__:
            raw = get_bytes_from_wsgi(self.environ, "QUERY_STRING", "")
            self._keep("GET", QueryDict(raw, encoding=self.encoding))
        return self._kept("GET")

    def _get_cookies(self) -> Any:
        if "kept COOKIES" not in self.__dict__:
            with self.serverpush_notes.paused():
                found = parse_cookie(get_str_from_wsgi(self.environ, "HTTP_COOKIE", ""))
            self._keep("COOKIES", Cookies(found, self.serverpush_notes))
        return self._kept("COOKIES")

    def _get_headers(self) -> Headers:
        return Headers(self.META, self.serverpush_notes)

    def _kept(self, name: str) -> Any:
        try:
            return self.__dict__[f"kept {name}"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no {name!r}") from None

    def _keep(self, name: str, value: Any) -> None:
        self.__dict__[f"kept {name}"] = value

    path = _noting("path", "path")
    path_info = _noting("path_info", "path")
    resolver_match = _noting("resolver_match", "path")
    # Where the authentication keeps the session's user.
    _cached_user = _noting("_cached_user")
    _acached_user = _noting("_acached_user")
    user = property(_get_user, _set_user)
    session = property(_get_session, _set_session)
    headers = property(_get_headers)
    GET = property(
        _get_query,
        lambda self, value: self._keep("GET", value),
        lambda self: self.__dict__.pop("kept GET", None),
    )
    COOKIES = property(_get_cookies, lambda self, value: self._keep("COOKIES", value))


def page_request(page: Page, visitor: Visitor, *, by_script: bool) -> PageRequest:
    """The request that ``visitor`` would make for ``page``.

    Arguments:
        page: its ``path`` is what comes after ``script``, decoded; its ``query``
            is encoded.
        by_script: say ``X-Requested-With: XMLHttpRequest``, as a script does and
            a browser that opens the page does not.
    """
    environ = _server(page) | _address(page) | _headers(page, visitor)
    if visitor.address:
        environ["REMOTE_ADDR"] = visitor.address
    if by_script:
        environ["HTTP_X_REQUESTED_WITH"] = "XMLHttpRequest"
    request = PageRequest(environ)
    request.serverpush_language = page.language
    return request


def _server(page: Page) -> dict[str, Any]:
    scheme = "https" if page.secure else "http"
    name, port = _host_and_port(page.host)
    return {
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": name or "localhost",
        "SERVER_PORT": port or ("443" if page.secure else "80"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _address(page: Page) -> dict[str, str]:
    return {
        "SCRIPT_NAME": _from_utf8(page.script),
        "PATH_INFO": _from_utf8(page.path or "/"),
        "QUERY_STRING": _from_utf8(page.query.removeprefix("?")),
    }


def _headers(page: Page, visitor: Visitor) -> dict[str, str]:
    headers = {
        "HTTP_HOST": page.host,
        "HTTP_COOKIE": visitor.cookie,
        "HTTP_ACCEPT_LANGUAGE": visitor.accept_language,
        "HTTP_USER_AGENT": visitor.user_agent,
        "HTTP_ACCEPT": "text/html",
    }
    return {name: _as_sent(value) for name, value in headers.items() if value}


def _host_and_port(host: str) -> tuple[str, str]:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", str(parts.port or "")
    except ValueError:
        return "", ""


def _from_utf8(text: str) -> str:
    """PEP 3333: an environ's text holds bytes, one for each character."""
    return text.encode("utf-8", "replace").decode("iso-8859-1")


def _as_sent(header: str) -> str:
    """A header as the handshake's own environ had it, which is bytes already."""
    try:
        header.encode("iso-8859-1")
    except UnicodeEncodeError:
        return _from_utf8(header)
    return header
