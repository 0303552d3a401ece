"""The page's request, rebuilt from what the page and its visitor said."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.handlers.wsgi import WSGIRequest

from serverpush.protocol import Page, Visitor

if TYPE_CHECKING:
    from serverpush.renderer.handler import Task


class PageRequest(WSGIRequest):
    """A request that a renderer makes up; ``serverpush_task`` is what it is for."""

    serverpush_rendering = True
    serverpush_task: Task


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
    return PageRequest(environ)


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
