"""Engine.IO 4 and Socket.IO 4 over a raw WebSocket, the client's side, and plain HTTP GET."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

TEXT, CLOSE = 0x1, 0x8


class Packet(NamedTuple):
    """A Socket.IO event: its name, payload and meta."""

    name: str
    payload: Any
    meta: dict[str, Any]


# The same bytes go to many clients of one process.
@lru_cache(maxsize=4096)
def packet(text: bytes) -> Packet:
    """Read what follows the ``42`` of an event."""
    name, payload, *rest = json.loads(text)
    return Packet(name, payload, rest[0] if rest else {})


def handshake(host: str, port: int, origin: str, **headers: str) -> bytes:
    """The request for a WebSocket (RFC 6455, 4.1); more ``headers`` with ``_`` for ``-``."""
    lines = [
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        f"Host: {host}:{port}",
        f"Origin: {origin}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(text: str) -> bytes:
    """A masked text frame; the mask is zero, so the payload is plain (RFC 6455, 5.2)."""
    data = text.encode()
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | TEXT, 0x80 | size)
    else:
        head = struct.pack("!BBH", 0x80 | TEXT, 0x80 | 126, size)
    return head + bytes(4) + data


class Frames:
    """What a server's bytes hold: whole messages, which it sends as one frame each."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that are whole by now: opcode and payload."""
        buffer = self._buffer + data if self._buffer else data
        start = 0
        while (end := _end(buffer, start)) is not None:
            head, end = end
            yield buffer[start] & 0x0F, buffer[head:end]
            start = end
        self._buffer = buffer[start:]


def _end(buffer: bytes, start: int) -> tuple[int, int] | None:
    """Where the payload of the frame at ``start`` begins and ends."""
    left = len(buffer) - start
    if left < 2:
        return None
    size, head = buffer[start + 1] & 0x7F, 2
    for mark, length, form in ((126, 2, "!H"), (127, 8, "!Q")):
        if size == mark:
            if left < 2 + length:
                return None
            size, head = struct.unpack_from(form, buffer, start + 2)[0], 2 + length
            break
    return (start + head, start + head + size) if left >= head + size else None


async def get(host: str, port: int, path: str, cookie: str = "") -> str:
    """A page's text; raises ``OSError`` where there is none, as a failed fetch does."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
        raise OSError(f"{path} is answered {head[:100]!r}")
    return body.decode()
