"""Lines over a plain socket, green."""

import contextlib
import socket
from collections import deque

from eventlet import greenio, hubs, semaphore

CHUNK = 256 * 1024


class Stream:
    """Frames that end with a newline, over one end of ``socket.socketpair()``."""

    def __init__(self, sock: socket.socket) -> None:
        hubs.notify_opened(sock.fileno())
        self._sock = greenio.GreenSocket(sock)
        self._lines: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._lock = semaphore.Semaphore()
        self._closed = False

    def read(self) -> bytes | None:
        """The next frame without its newline; None when the other end, or this one, closed."""
        while not self._lines:
            try:
                data = b"" if self._closed else self._sock.recv(CHUNK)
            except (OSError, EOFError):
                data = b""
            if not data:
                return None
            # only what is new is searched: a frame may have many MiB
            first, *rest = data.split(b"\n")
            self._parts.append(first)
            for part in rest:
                self._lines.append(b"".join(self._parts))
                self._parts = [part]
        return self._lines.popleft()

    def write(self, frame: bytes) -> None:
        """Send a frame; waits while the other end does not read. Raises ``OSError`` when closed,
        ``ValueError`` for a frame with a newline in it."""
        if b"\n" in frame:
            raise ValueError("a frame can't have a newline in it")
        with self._lock:
            if self._closed:
                raise BrokenPipeError("the stream is closed")
            # a view: GreenSocket.sendall copies what is left after each send
            self._sock.sendall(memoryview(frame + b"\n"))

    def close(self) -> None:
        """Close it; a green thread that reads or writes here is woken."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        # the hub forgets, and wakes, whoever waits on the descriptor before it is given away
        hubs.notify_opened(self._sock.fileno())
        # it tells them at the start of its next turn, and would sleep until some timer is due
        hubs.get_hub().schedule_call_global(0, _nothing)
        self._sock.close()


def _nothing() -> None:
    """A call that only makes the hub turn."""
