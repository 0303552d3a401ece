"""The page's request, rebuilt from what the page and its visitor said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest, get_bytes_from_wsgi, get_str_from_wsgi
from django.http import HttpRequest, QueryDict, parse_cookie
from django.utils.functional import LazyObject, SimpleLazyObject, cached_property, empty

from serverpush.protocol import Page, Visitor
from serverpush.renderer.notes import Cookies, Environ, Headers, Notes, session_source
from serverpush.renderer.sessions import ReadOnlySession
from serverpush.results import EVERYTHING

if TYPE_CHECKING:
    from serverpush.renderer.handler import Task


# Where a request keeps its attributes, past what notes that they are read.
_dict: Any = HttpRequest.__dict__["__dict__"]


def _noted(name: str, *sources: str) -> Any:
    """An attribute of which it is noted that it is read; without sources, as the session's."""

    def get(request: PageRequest) -> Any:
        value = request._kept(name)
        request.serverpush_notes.add(*(sources or [session_source()]))
        return value

    return _attribute(name, get)


def _attribute(name: str, get: Callable[[PageRequest], Any]) -> Any:
    """An attribute that can be set and deleted as any other."""

    def put(request: PageRequest, value: Any) -> None:
        _dict.__get__(request)[name] = value

    def delete(request: PageRequest) -> None:
        request._kept(name)
        del _dict.__get__(request)[name]

    return property(get, put, delete)


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

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """All attributes at once, for who copies them."""
        self.serverpush_notes.add(*EVERYTHING)
        found: dict[str, Any] = _dict.__get__(self)
        return found

    def __setstate__(self, state: dict[str, Any]) -> None:
        _dict.__get__(self).update(state)

    def _kept(self, name: str) -> Any:
        try:
            return _dict.__get__(self)[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no {name!r}") from None

    def _made(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made when it is first asked for, as by ``cached_property``."""
        kept = _dict.__get__(self)
        if name not in kept:
            kept[name] = make()
        return kept[name]

    def _get_user(self) -> Any:
        user = self._kept("user")
        if not isinstance(user, LazyObject) or user._wrapped is not empty:
            self.serverpush_notes.add(session_source())
        return user

    def _set_user(self, user: Any) -> None:
        if isinstance(user, LazyObject) and user._wrapped is empty:
            # What makes it, for it may be copied before it is looked at.
            name = "_setupfunc" if isinstance(user, SimpleLazyObject) else "_setup"
            vars(user)[name] = partial(self._make_user, getattr(user, name))
        _dict.__get__(self)["user"] = user

    def _make_user(self, make: Callable[[], Any]) -> Any:
        # Whoever looks at it first: what it is made from may be the project's to say.
        with self.serverpush_notes.resumed():
            self.serverpush_notes.add(session_source())
            return make()

    def _del_user(self) -> None:
        self._kept("user")
        del _dict.__get__(self)["user"]

    def _get_session(self) -> Any:
        session = self._kept("session")
        if not issubclass(type(session), ReadOnlySession):
            self.serverpush_notes.add(session_source())
        return session

    def _set_session(self, session: Any) -> None:
        # By its type: one that is lazy must not be made before its time.
        if issubclass(type(session), ReadOnlySession):
            session.serverpush_notes = self.serverpush_notes
        _dict.__get__(self)["session"] = session

    def _get_query(self) -> Any:
        self.serverpush_notes.add("query")
        return self._made("GET", self._make_query)

    def _make_query(self) -> QueryDict:
        raw = get_bytes_from_wsgi(self.environ, "QUERY_STRING", "")
        return QueryDict(raw, encoding=self.encoding)

    def _make_cookies(self) -> Cookies:
        with self.serverpush_notes.paused():
            found = parse_cookie(get_str_from_wsgi(self.environ, "HTTP_COOKIE", ""))
        return Cookies(found, self.serverpush_notes)

    def _make_headers(self) -> Headers:
        return Headers(self.META, self.serverpush_notes)

    path = _noted("path", "path")
    path_info = _noted("path_info", "path")
    resolver_match = _noted("resolver_match", "path")
    # Where the authentication keeps the session's user.
    _cached_user = _noted("_cached_user")
    _acached_user = _noted("_acached_user")
    user = property(_get_user, _set_user, _del_user)
    session = _attribute("session", _get_session).setter(_set_session)
    GET = _attribute("GET", _get_query)
    COOKIES = _attribute("COOKIES", lambda self: self._made("COOKIES", self._make_cookies))
    headers = _attribute("headers", lambda self: self._made("headers", self._make_headers))


def _cached(name: str, found: cached_property[Any]) -> Any:
    """A cached property of the base, which would ask for all attributes to keep its own."""
    return _attribute(name, lambda self: self._made(name, partial(found.func, self)))


for _name, _found in (vars(HttpRequest) | vars(WSGIRequest)).items():
    if isinstance(_found, cached_property) and _name not in vars(PageRequest):
        setattr(PageRequest, _name, _cached(_name, _found))


def page_request(page: Page, visitor: Visitor, *, by_script: bool) -> PageRequest:
    """The request that ``visitor`` would make for ``page``.

    Arguments:
        page: its ``path`` is what comes after ``script``, decoded; its ``query``
            is encoded.
        by_script: say ``X-Requested-With: XMLHttpRequest``, as a script does and
            a browser that opens the page does not.
    """
    if not page.host:
        # Of a client without a page: as somebody would come who asks the site for one.
        page = replace(page, host=site_host(), secure=bool(settings.SECURE_SSL_REDIRECT))
    environ = _server(page) | _address(page) | _headers(page, visitor)
    if visitor.address:
        environ["REMOTE_ADDR"] = visitor.address
    if by_script:
        environ["HTTP_X_REQUESTED_WITH"] = "XMLHttpRequest"
    request = PageRequest(environ)
    request.serverpush_language = page.language
    return request


def cookie_values(visitor: Visitor) -> list[str]:
    """The values of all its cookies, as a request has them; of several with one name, too."""
    environ = {"HTTP_COOKIE": _as_sent(visitor.cookie)}
    cookies = get_str_from_wsgi(environ, "HTTP_COOKIE", "").split(";")
    return [value for each in cookies for value in parse_cookie(each).values()]


def site_host() -> str:
    """A host that the site answers to: the first that ``ALLOWED_HOSTS`` names."""
    named = (each.removeprefix(".") for each in settings.ALLOWED_HOSTS if each != "*")
    host = next(named, "localhost")
    return f"www.{host}" if settings.PREPEND_WWW and not host.startswith("www.") else host


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
