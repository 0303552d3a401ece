"""Many Socket.IO clients in one thread, which keep all that comes."""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any

CHUNK = 1 << 16
JOIN_SECONDS = 60
TEXT, CLOSE = 0x1, 0x8
# Seconds between readings: others get the lock, and a batch is read at once.
REST = 0.002


@dataclass(frozen=True)
class Event:
    """One event: when it came (``time.monotonic``), its name and its arguments."""

    at: float
    name: str
    arguments: list[Any]
    text: str

    @property
    def payload(self) -> Any:
        return self.arguments[0]

    @property
    def meta(self) -> dict[str, Any]:
        return self.arguments[-1]


@dataclass
class Member:
    """One client; ``events`` in the order they came, ``refused`` a connect error's data."""

    sock: socket.socket
    events: list[Event] = field(default_factory=list)
    refused: dict[str, Any] | None = None
    is_closed: bool = False
    _buffer: bytes = b""

    def of(self, name: str) -> list[Event]:
        return [each for each in list(self.events) if each.name == name]

    def last(self, name: str) -> Any:
        """The payload of the last event of this name, None where there is none."""
        found = self.of(name)
        return found[-1].payload if found else None

    @property
    def safe(self) -> str | None:
        """What it reconnects with: its last safe position."""
        found = [each.meta["safe"] for each in list(self.events) if "safe" in each.meta]
        return max(found, default=None)

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            self._take(*frame)

    def _next_frame(self) -> tuple[int, bytes] | None:
        # RFC 6455, 5.2; a server's frames are not masked.
        buffer, start = self._buffer, 2
        if len(buffer) < start:
            return None
        size = buffer[1] & 0x7F
        for mark, length, form in ((126, 2, "!H"), (127, 8, "!Q")):
            if size == mark:
                if len(buffer) < start + length:
                    return None
                size, start = struct.unpack_from(form, buffer, 2)[0], start + length
                break
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        return buffer[0] & 0x0F, buffer[start : start + size]

    def _take(self, kind: int, data: bytes) -> None:
        if kind == CLOSE:
            self.is_closed = True
            return
        text = data.decode()
        if text == "2":
            self.sock.sendall(frame("3"))
        elif text.startswith("42"):
            name, *arguments = json.loads(text[2:])
            self.events.append(Event(time.monotonic(), name, arguments, text))
        elif text.startswith("44"):
            self.refused = json.loads(text[2:])["data"]


class Crowd:
    """Clients of one push server.

    Arguments:
        port: where it listens, on loopback.
        origin: what a browser would send.
    """

    def __init__(self, port: int, origin: str) -> None:
        self.port = port
        self.origin = origin
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self, auth: dict[str, Any], **headers: str) -> Member:
        """Connect a client; returns when it is ready, or refused.

        ``headers`` are more of the handshake's, ``_`` for ``-``.
        """
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=JOIN_SECONDS)
        sock.sendall(self._handshake(headers))
        sock.sendall(frame("40" + json.dumps(auth)))
        member = Member(sock)
        head = b""
        while b"\r\n\r\n" not in head:
            head += _receive(sock)
        head, _, rest = head.partition(b"\r\n\r\n")
        assert b" 101 " in head.splitlines()[0], head
        member.feed(rest)
        while member.refused is None and not member.of("serverpush:ready"):
            member.feed(_receive(sock))
        sock.setblocking(False)
        with self._lock:
            self._selector.register(sock, selectors.EVENT_READ, member)
        return member

    def drop(self, member: Member) -> None:
        """End a connection as a lost network does: without a word."""
        with self._lock:
            self._forget(member)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        with self._lock:
            for key in list(self._selector.get_map().values()):
                self._forget(key.data)
            self._selector.close()

    def _forget(self, member: Member) -> None:
        member.is_closed = True
        if member.sock.fileno() >= 0:
            self._selector.unregister(member.sock)
            member.sock.close()

    def _handshake(self, headers: dict[str, str]) -> bytes:
        lines = [
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Origin: {self.origin}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def _read(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                for key, _ in self._selector.select(0):
                    self._receive_some(key.data)
            self._stopping.wait(REST)

    def _receive_some(self, member: Member) -> None:
        try:
            data = member.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            member.feed(data)
        if not data or member.is_closed:
            self._forget(member)


def frame(text: str) -> bytes:
    """A masked text frame; the mask is zero, so the payload is plain."""
    data = text.encode()
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | TEXT, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | TEXT, 0x80 | 126, size)
    return head + bytes(4) + data


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(CHUNK)
    assert data, "the push server closed a connection that was being made"
    return data
