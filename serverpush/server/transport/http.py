"""HTTP on eventlet.wsgi, with the deadlines and limits that it leaves to us."""

import errno
import functools
import logging
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import eventlet
from eventlet import greenpool, greenthread, wsgi
from greenlet import GreenletExit

from serverpush.server.transport.notices import Notices

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HEADER_SECONDS = 10
"""From the first line of a request, or from the last answer, to the end of its headers."""
BODY_SECONDS = 30
"""For the whole body of a request."""
SOCKET_SECONDS = 30
"""Between two pieces of a body, and for a client to take a piece of the answer."""
DISCARD_BYTES = 64 * 1024
"""Of a body that the application did not read; beyond it the connection is closed."""
ACCEPT_BATCH = 64
OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Input(wsgi.Input):  # type: ignore[misc]
    """A request body with one deadline for all of it: eventlet has one for each piece."""

    deadline: float | None = None

    def read(self, length: int | None = None) -> Any:
        """As in WSGI; raises ``socket.timeout`` when the body took too long."""
        return self._in_time(super().read, length)

    def readline(self, size: int | None = None) -> Any:
        """As in WSGI."""
        return self._in_time(super().readline, size)

    def discard(self, buffer_size: int = 16 << 10) -> None:
        """Read what the application left; eventlet reads gigabytes."""
        left = 0
        while data := self.read(buffer_size):
            left += len(data)
            if left > DISCARD_BYTES:
                raise OSError(errno.EMSGSIZE, "too much of the body was left")

    def _in_time(self, function: Callable[[int | None], Any], size: int | None) -> Any:
        if self.deadline is None:
            self.deadline = time.monotonic() + BODY_SECONDS
        timeout = eventlet.Timeout(max(self.deadline - time.monotonic(), 0), TimeoutError("body"))
        try:
            return function(size)
        finally:
            timeout.cancel()


class Protocol(wsgi.HttpProtocol):  # type: ignore[misc]
    """One HTTP connection: a deadline for the headers, and no traceback of a broken one."""

    header_timeout: Any = None
    served = False

    def __init__(self, conn_state: list[Any], server: Any, *, notices: Notices) -> None:
        # what is raised here, eventlet's hub prints with its traceback
        try:
            super().__init__(conn_state, server)
        except (OSError, EOFError):
            pass  # the client went away, or took too long
        except Exception:  # noqa: BLE001
            notices.say("an HTTP connection failed", level=logging.ERROR, exc=True)

    def handle_one_request(self) -> None:
        """One request, from the wait for its first line."""
        if self.served:
            # reading does not yield while there is data: pipelined requests take turns
            greenthread.sleep(0)
        self.served = True
        self.header_timeout = eventlet.Timeout(HEADER_SECONDS, TimeoutError("headers"))
        try:
            super().handle_one_request()
        finally:
            self.header_timeout.cancel()

    def parse_request(self) -> bool:
        """As http.server does; refuses bodies whose length is not given plainly."""
        if not super().parse_request():
            return False
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers:
            # eventlet reads a chunk's header with an unbounded readline
            self.send_error(411)
            return False
        if len(lengths) > 1 or not all(v.isascii() and v.strip().isdigit() for v in lengths):
            self.send_error(400)
            return False
        return True

    def get_environ(self) -> dict[str, Any]:
        """The headers are complete: their deadline ends."""
        self.header_timeout.cancel()
        environ: dict[str, Any] = super().get_environ()
        # eventlet names its own class in the middle of a long function
        environ["wsgi.input"].__class__ = Input
        return environ

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A bare answer: the default one quotes the request."""
        self.close_connection = True
        self.wfile.write(
            b"HTTP/1.1 %d Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % code
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: http.server writes to stderr."""


class Acceptor:
    """A listening socket for eventlet.wsgi, which ends its server at the first failed accept."""

    def __init__(self, sock: Any, notices: Notices) -> None:
        self._sock = sock
        self._notices = notices
        self._count = 0
        self.family = sock.family
        self.getsockname = sock.getsockname
        self.close = sock.close

    def accept(self) -> tuple[Any, Any]:
        """The next connection, with Nagle's delay off."""
        while True:
            self._count += 1
            if self._count % ACCEPT_BATCH == 0:
                # GreenSocket.accept does not yield while connections are waiting
                greenthread.sleep(0)
            try:
                client, address = self._sock.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                    raise GreenletExit from None
                if error.errno in OUT_OF_DESCRIPTORS:
                    self._notices.say("can't accept connections", detail=str(error))
                    greenthread.sleep(0.1)
                continue
            return client, address


class Server:
    """An HTTP server that runs until ``stop``."""

    def __init__(self, sock: Any, app: WSGIApp, max_connections: int, log: logging.Logger) -> None:
        self._sock = sock
        self._app = app
        self._log = log
        # not the default pool: it stops accepting at 1,024 connections
        self._pool = greenpool.GreenPool(max_connections)
        self._notices = Notices(log)
        self._green = greenthread.spawn(self._run, Acceptor(sock, self._notices))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        name = self._sock.getsockname()
        return name[0], name[1]

    def stop(self, timeout: float = 0) -> None:
        """Accept nothing more, let requests end for ``timeout`` seconds, then end them."""
        self._green.kill()
        with eventlet.Timeout(timeout, False):
            self._pool.waitall()
        for green in list(self._pool.coroutines_running):
            green.kill()
        self._sock.close()

    def _run(self, acceptor: Acceptor) -> None:
        try:
            wsgi.server(
                acceptor,
                self._guarded,
                custom_pool=self._pool,
                protocol=functools.partial(Protocol, notices=self._notices),
                keepalive=HEADER_SECONDS,
                socket_timeout=SOCKET_SECONDS,
                log_output=False,
                debug=False,
            )
        except GreenletExit:
            pass
        except Exception:  # noqa: BLE001  # the last place where it can be told
            self._log.error("the HTTP server failed", exc_info=True)

    def _guarded(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return self._app(environ, start_response)
        except (ConnectionError, TimeoutError):
            raise  # the client went away, or its body came too slowly
        except Exception:  # noqa: BLE001
            # eventlet.wsgi would write it to its access log, which is off
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self._log.error("%s %s failed", method, repr(path)[:200], exc_info=True)
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]


def serve(sock: Any, wsgi_app: WSGIApp, *, max_connections: int, log: logging.Logger) -> Server:
    """Serve ``wsgi_app`` on a socket of ``listen`` in green threads of its own.

    Arguments:
        max_connections: HTTP requests and idle HTTP connections at once. WebSockets of the
            transport leave the server at their upgrade and don't count.
        log: gets one record for each request that raises, nothing else.
    """
    return Server(sock, wsgi_app, max_connections, log)
