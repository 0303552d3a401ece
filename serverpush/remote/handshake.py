"""The handshake of a client that is no browser: with what it is asked for, and how it fails.

In the terms of websocket-client, which python-socketio's client is made on.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import websocket

from serverpush.remote.tls import shared_context

SCHEMES = ("http", "https", "ws", "wss")
BUNDLE = "WEBSOCKET_CLIENT_CA_BUNDLE"


class Handshake:
    """With what a connection is asked for.

    Arguments:
        address: of the push server, or of a proxy before it.
        headers: what to send beside the library's own.

    Raises ``ValueError`` for what is no address, and for a file of authorities that can't
    be read.
    """

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        scheme = _checked_scheme(address)
        self.address = address
        # websocket-client sends an origin of its own beside one that is among the headers.
        self.headers = {name: headers[name] for name in headers if name.lower() != "origin"}
        # A redirect could take the cookie anywhere.
        self.options: dict[str, Any] = {**_origin(headers), "redirect_limit": 0}
        if scheme in ("https", "wss"):
            self.options["sslopt"] = {"context": _context()}


def status_of(error: BaseException) -> int | None:
    """The HTTP status by which a handshake failed, if it was one."""
    root = _root(error)
    return root.status_code if isinstance(root, websocket.WebSocketBadStatusException) else None


def reason_of(error: BaseException) -> str:
    """Why a handshake failed, in a line for a log."""
    status = status_of(error)
    # The exception's own text has the answer's headers, which may set a cookie.
    return f"HTTP {status}" if status else str(_root(error)) or type(_root(error)).__name__


def _root(error: BaseException) -> BaseException:
    # python-socketio and python-engineio say "Connection error", whatever it was.
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _checked_scheme(address: str) -> str:
    with suppress(ValueError):
        parts = urlsplit(address)
        # Its port is looked at only when it is asked for.
        is_there = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
        rest = (parts.path.rstrip("/"), parts.query, parts.fragment)
        if is_there and "@" not in parts.netloc and not any(rest):
            return parts.scheme
    raise ValueError(
        f"{address!r} is not the address of a push server: that is a scheme, a host and, if need "
        "be, a port, such as 'http://127.0.0.1:8013' or 'https://www.example.org'"
    )


def _origin(headers: Mapping[str, str]) -> dict[str, Any]:
    """websocket-client's options for the origin; by default it sends the address."""
    given = {name.lower(): value for name, value in headers.items()}
    if "origin" in given:
        return {"origin": given["origin"]}
    # Only a cookie has to come with one, and the address need not be one of the site's.
    return {} if "cookie" in given else {"suppress_origin": True}


def _context() -> ssl.SSLContext:
    """One for all connections, as a file that can't be read is the caller's to know."""
    authorities = os.environ.get(BUNDLE)
    try:
        # The library reads in one thread and writes in another.
        return shared_context(authorities)
    except OSError as error:
        raise ValueError(f"{BUNDLE} is {authorities!r}, which can't be read: {error}") from error
