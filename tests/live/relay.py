"""A relay before the push server: a network that can be cut, and a proxy that says so."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from typing import Any, Self

ANSWER = "HTTP/1.1 {} -\r\nContent-Length: 0\r\nConnection: close\r\n{}\r\n"


class Relay(socketserver.ThreadingTCPServer):
    """Relays to a port of this machine, from a free port; runs for the time of a ``with``.

    While ``status`` is set, each request is answered with it, and ``more`` headers; while the
    port is closed, with 502. ``requests`` are those that were answered so.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Relayed)
        self.port = port
        self.status = 0
        self.more = ""
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self.ends: list[tuple[socket.socket, socket.socket]] = []

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.server_address)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self._thread.join()
        self.cut(503)
        self.server_close()

    def cut(self, status: int, more: str = "") -> None:
        """Cut all connections, and let none through until ``restore``."""
        with self.lock:
            self.status, self.more = status, more
            for pair in self.ends:
                _shut(*pair)

    def restore(self) -> None:
        self.status = 0


class _Relayed(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        other = self._other_end()
        if other is None:
            return
        with other:
            back = threading.Thread(target=_pump, args=(other, self.request))
            back.start()
            _pump(self.request, other)
            back.join()

    def _other_end(self) -> socket.socket | None:
        with self.server.lock:
            status, more = self.server.status or 502, self.server.more
            if not self.server.status:
                with suppress(ConnectionRefusedError):
                    other = socket.create_connection(("127.0.0.1", self.server.port))
                    self.server.ends.append((self.request, other))
                    return other
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.request.recv(65536)
        self.request.sendall(ANSWER.format(status, more).encode())
        self.server.requests.append(request.decode())
        return None


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _shut(source, sink)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
