"""Many Socket.IO clients in one thread, which keep all that comes."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from tests.chaos import wire

CHUNK = 1 << 16
JOIN_SECONDS = 60
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


@dataclass(eq=False)
class Member:
    """One client; ``events`` in the order they came, ``refused`` a connect error's data."""

    sock: socket.socket
    events: list[Event] = field(default_factory=list)
    refused: dict[str, Any] | None = None
    is_closed: bool = False
    _frames: wire.Frames = field(default_factory=wire.Frames)

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
        for kind, payload in self._frames.feed(data):
            self._take(kind, payload)

    def _take(self, kind: int, data: bytes) -> None:
        if kind == wire.CLOSE:
            self.is_closed = True
            return
        text = data.decode()
        if text == "2":
            self.sock.sendall(wire.frame("3"))
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def join(self, auth: dict[str, Any], **headers: str) -> Member:
        """Connect a client; returns when it is ready, or refused.

        ``headers`` are more of the handshake's, ``_`` for ``-``.
        """
        member = joined(self.port, self.origin, auth, **headers)
        with self._lock:
            self._selector.register(member.sock, selectors.EVENT_READ, member)
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


def joined(port: int, origin: str, auth: dict[str, Any], **headers: str) -> Member:
    """A client that has connected to a push server on loopback, and is ready, or refused.

    From then on its socket does not block. ``headers`` as for ``Crowd.join``.
    """
    sock = socket.create_connection(("127.0.0.1", port), timeout=JOIN_SECONDS)
    sock.sendall(wire.handshake("127.0.0.1", port, origin, **headers))
    sock.sendall(wire.frame("40" + json.dumps(auth)))
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
    return member


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(CHUNK)
    assert data, "the push server closed a connection that was being made"
    return data
