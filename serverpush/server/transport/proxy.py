"""Requests that are for another HTTP server on this machine, passed on green."""

import http.client
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from eventlet.green.http.client import HTTPConnection

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


def forward(
    environ: dict[str, Any], start_response: Any, port: int, own: dict[str, str]
) -> Iterable[bytes]:
    """Have a request of ``loop.serve`` answered by the server on a port of loopback.

    Arguments:
        own: headers that are sent with it; those of these names that came with it are not.

    Raises ``OSError`` where it can't be reached, or breaks off.
    """
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.connect()
        with suppress(BrokenPipeError, ConnectionResetError):
            # Who does not want all of a body answers before its end.
            _send(connection, environ, own)
        response = connection.getresponse()
    except http.client.HTTPException as error:
        connection.close()
        raise OSError(f"its answer can't be read: {type(error).__name__}") from None
    except BaseException:
        connection.close()
        raise
    headers = [(name, value) for name, value in response.getheaders() if _is_passed_on(name)]
    start_response(f"{response.status} {response.reason}", headers)
    # What a page streams is not to wait for more.
    environ["eventlet.minimum_write_chunk_size"] = 0
    return _pieces(connection, response)


def _send(connection: Any, environ: dict[str, Any], own: dict[str, str]) -> None:
    target, query = environ["RAW_PATH_INFO"], environ.get("QUERY_STRING", "")
    connection.putrequest(
        environ["REQUEST_METHOD"],
        f"{target}?{query}" if query else target,
        skip_host=True,
        skip_accept_encoding=True,
    )
    names = {name.lower() for name in own}
    for name, value in environ["headers_raw"]:
        if _is_passed_on(name) and name.lower() not in names:
            connection.putheader(name, value.encode("latin-1"))
    for name, value in own.items():
        connection.putheader(name, value)
    connection.putheader("Connection", "close")
    connection.endheaders(_body(environ) if environ.get("CONTENT_LENGTH") else None)


def _is_passed_on(name: str) -> bool:
    return name.lower() not in HOP_BY_HOP


def _body(environ: dict[str, Any]) -> Iterator[bytes]:
    while piece := environ["wsgi.input"].read(PIECE):
        yield piece


def _pieces(connection: Any, response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := response.read1(PIECE):
            yield piece
    except http.client.HTTPException as error:
        raise ConnectionError(f"the answer broke off: {type(error).__name__}") from None
    finally:
        connection.close()
