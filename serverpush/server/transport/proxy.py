"""Requests that are for another HTTP server on this machine, passed on green."""

import string
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from eventlet.green.http.client import HTTPConnection, HTTPException

PIECE = 64 * 1024
"""Bytes of a body that are passed on at once."""
# RFC 9110, section 7.6.1: they are about the connection, not about the message.
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class Unanswered(Exception):
    """The other server can't be reached, or broke off; the message says how."""


def forward(
    environ: dict[str, Any], start_response: Any, port: int, own: dict[str, str]
) -> Iterable[bytes]:
    """Have a request of ``loop.serve`` answered by the server on a port of loopback.

    Arguments:
        own: headers that are sent with it; those of these names that came with it are not.

    Raises ``Unanswered``, and ``ConnectionError`` where it is the client that went away.
    """
    connection = HTTPConnection("127.0.0.1", port)
    try:
        response = _exchange(connection, environ, own)
    except BaseException:
        connection.close()
        raise
    headers = [
        (name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP
    ]
    start_response(f"{response.status} {response.reason}", headers)
    # What a page streams is not to wait for more.
    environ["eventlet.minimum_write_chunk_size"] = 0
    return _pieces(connection, response)


def _exchange(connection: Any, environ: dict[str, Any], own: dict[str, str]) -> Any:
    try:
        connection.connect()
        _send_head(connection, environ, own)
    except OSError as error:
        raise Unanswered(str(error)) from None
    for piece in _body(environ):
        with suppress(OSError):
            connection.send(piece)
            continue
        # Who does not want all of a body answers before its end.
        break
    try:
        return connection.getresponse()
    except (OSError, HTTPException) as error:
        raise Unanswered(f"{type(error).__name__}: {error}") from None


def _send_head(connection: Any, environ: dict[str, Any], own: dict[str, str]) -> None:
    target, query = environ["RAW_PATH_INFO"], environ.get("QUERY_STRING", "")
    connection.putrequest(
        environ["REQUEST_METHOD"],
        _ascii(f"{target}?{query}" if query else target),
        skip_host=True,
        skip_accept_encoding=True,
    )
    sent = environ["headers_raw"]
    listed = ",".join(value for name, value in sent if name.lower() == "connection")
    dropped = HOP_BY_HOP | {each.strip().lower() for each in listed.split(",")}
    dropped |= {name.lower() for name in own}
    for name, value in sent:
        if name.lower() not in dropped:
            connection.putheader(name, value.encode("latin-1"))
    for name, value in own.items():
        connection.putheader(name, value)
    connection.putheader("Connection", "close")
    connection.endheaders()


def _ascii(target: str) -> str:
    """Some clients send what they should have quoted."""
    return quote(target.encode("latin-1"), safe=string.punctuation)


def _body(environ: dict[str, Any]) -> Iterator[bytes]:
    """The body, piece by piece; raises ``ConnectionError`` where it ends too early."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0:
        try:
            piece = environ["wsgi.input"].read(min(left, PIECE))
        except OSError as error:
            raise ConnectionAbortedError(str(error)) from None
        if not piece:
            raise ConnectionAbortedError("the client broke off")
        left -= len(piece)
        yield piece


def _pieces(connection: Any, response: Any) -> Iterator[bytes]:
    # None where the answer's end is its connection's, or where there is no body.
    left = response.length
    try:
        while piece := response.read1(PIECE):
            if left is not None:
                left -= len(piece)
            yield piece
    except HTTPException as error:
        raise ConnectionAbortedError(f"the answer broke off: {type(error).__name__}") from None
    finally:
        connection.close()
    if left:
        # Else what comes next on this connection would be taken for the rest of it.
        raise ConnectionAbortedError(f"the answer broke off {left} bytes too early")
