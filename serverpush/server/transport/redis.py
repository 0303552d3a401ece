"""Connections to Redis whose waits are the loop's: redis-py's own, and nothing is patched."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Any

from eventlet import hubs
from eventlet.hubs import trampoline
from redis._parsers import _RESP2Parser
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

from serverpush.server.transport import loop


class GreenSocket:
    """A socket that is connected, as far as redis-py uses one.

    ``timeout`` is in seconds, for each wait; 0: do not wait.
    """

    def __init__(self, sock: socket.socket, timeout: float | None) -> None:
        sock.setblocking(False)
        hubs.notify_opened(sock.fileno())
        self._sock = sock
        self._timeout = timeout

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return self._sock.recv(size)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(read=True)
            except ssl.SSLWantWriteError:
                self._wait(write=True)

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self._sock.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(write=True)
            except ssl.SSLWantReadError:
                self._wait(read=True)

    def getpeername(self) -> Any:
        return self._sock.getpeername()

    def shutdown(self, how: int) -> None:
        self._sock.shutdown(how)

    def close(self) -> None:
        hubs.notify_close(self._sock.fileno())
        self._sock.close()

    def _wait(self, *, read: bool = False, write: bool = False) -> None:
        if self._timeout == 0:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        trampoline(
            self._sock, read=read, write=write, timeout=self._timeout, timeout_exc=TimeoutError
        )


class _Green:
    """Connects in a thread: looking for a host's address and TLS's handshake may take long."""

    socket_timeout: float | None

    def __init__(self, *args: Any, **options: Any) -> None:
        # Whatever is installed: hiredis asks the kernel itself, and waits there.
        super().__init__(*args, **{**options, "parser_class": _RESP2Parser})

    def _connect(self) -> GreenSocket:
        connect = super()._connect  # type: ignore[misc]
        return GreenSocket(loop.run_in_thread(connect), self.socket_timeout)


class _Tcp(_Green, Connection):
    pass


class _Tls(_Green, SSLConnection):
    pass


class _Unix(_Green, UnixDomainSocketConnection):
    pass


GREEN: dict[type, type] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}
"""By redis-py's classes of connections, those that wait green."""
