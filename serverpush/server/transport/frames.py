"""Bytes on the way out, encoded once for all who get them.

Engine.IO 4 and Socket.IO 5 text packets (github.com/socketio/engine.io-protocol,
github.com/socketio/socket.io-protocol) and unmasked WebSocket frames (RFC 6455 section 5.2).
"""

import json
import struct
from collections.abc import Iterable
from typing import Any

from serverpush.server.transport import deflate

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

COMPRESSED = 0x40
"""The bit of a frame's first byte that says so (RFC 7692 section 6)."""

RECORD_SEPARATOR = b"\x1e"


def websocket_frame(opcode: int, payload: bytes) -> bytes:
    """One final, unmasked frame (RFC 6455 section 5.2)."""
    size = len(payload)
    first = 0x80 | opcode
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def close_frame(code: int) -> bytes:
    """A close frame with a status code (RFC 6455 section 7.4)."""
    return websocket_frame(CLOSE, struct.pack("!H", code))


def to_json(value: Any) -> str:
    """Compact JSON. Raises ``ValueError`` for NaN and infinities, ``TypeError`` for the rest."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class Frame:
    """One packet for any number of clients, encoded once for each kind of transport."""

    __slots__ = ("_deflated", "_websocket", "payload")

    def __init__(self, text: str) -> None:
        """``text`` is a whole Engine.IO text packet."""
        self.payload = text.encode()
        self._websocket: bytes | None = None
        self._deflated: bytes | None = None

    @classmethod
    def event(cls, name: str, *json_texts: str) -> "Frame":
        """A Socket.IO event; the arguments are JSON texts already and are not looked at."""
        return cls("42[" + ",".join((to_json(name), *json_texts)) + "]")

    @property
    def websocket(self) -> bytes:
        """The complete WebSocket frame."""
        if self._websocket is None:
            self._websocket = websocket_frame(TEXT, self.payload)
        return self._websocket

    @property
    def deflated(self) -> bytes:
        """The same for those who take it compressed, if that pays."""
        if self._deflated is None:
            data = deflate.deflated(self.payload)
            self._deflated = (
                self.websocket if data is None else websocket_frame(TEXT | COMPRESSED, data)
            )
        return self._deflated

    @property
    def size(self) -> int:
        """Bytes of the Engine.IO packet."""
        return len(self.payload)


def polling_payload(frames: Iterable[Frame]) -> bytes:
    """The body of one polling response."""
    return RECORD_SEPARATOR.join(frame.payload for frame in frames)


EIO_CLOSE = Frame("1")
EIO_PING = Frame("2")
EIO_PONG_PROBE = Frame("3probe")
EIO_NOOP = Frame("6")


def opened(sid: str, upgrades: list[str], interval: float, timeout: float, payload: int) -> Frame:
    """The Engine.IO OPEN packet; times in seconds, payload in bytes."""
    return Frame(
        "0"
        + to_json(
            {
                "sid": sid,
                "upgrades": upgrades,
                "pingInterval": int(interval * 1000),
                "pingTimeout": int(timeout * 1000),
                "maxPayload": payload,
            }
        )
    )


def connected(sid: str) -> Frame:
    """The Socket.IO CONNECT packet that admits a client."""
    return Frame("40" + to_json({"sid": sid}))


def refusal(code: str, message: str) -> Frame:
    """The Socket.IO CONNECT_ERROR packet."""
    return Frame("44" + to_json({"message": message, "data": {"code": code, "message": message}}))


def unknown_namespace(namespace: str) -> Frame:
    """The Socket.IO CONNECT_ERROR packet for a namespace that is not served."""
    return Frame(f"44{namespace}," + to_json({"message": "Invalid namespace"}))


def ack(packet_id: int, value: Any) -> Frame:
    """The Socket.IO ACK packet; ``None`` acknowledges without a value."""
    return Frame(f"43{packet_id}" + to_json([] if value is None else [value]))
