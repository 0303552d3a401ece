"""WebSocket frames of a client, checked and joined (RFC 6455 section 5). No socket, no clock."""

from typing import NamedTuple

from serverpush.server.transport.deflate import inflated
from serverpush.server.transport.frames import BINARY, CLOSE, COMPRESSED, PING, PONG, TEXT
from serverpush.server.transport.protocol_error import ProtocolError


class Incoming(NamedTuple):
    """One frame; ``text`` is a complete message's, None for control frames and fragments."""

    opcode: int
    text: str | None
    payload: bytes


def unmask(payload: bytes, mask: bytes) -> bytes:
    """XOR with the client's mask (section 5.3), as one big number: no loop over bytes."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return mixed.to_bytes(size, "little")


class Inbound:
    """A parser that holds no more than one message of ``limit`` bytes, and nothing when idle.

    ``deflates``: messages may be compressed.
    """

    __slots__ = ("_buffer", "_deflates", "_fragments", "_is_deflated", "_limit", "_size")

    def __init__(self, limit: int, *, deflates: bool = False) -> None:
        self._limit = limit
        self._deflates = deflates
        self._is_deflated = False
        self._buffer: bytearray | None = None
        self._fragments: list[bytes] | None = None
        self._size = 0

    @property
    def holding(self) -> bool:
        """Whether there is the beginning of a frame, or more."""
        return self._buffer is not None

    def feed(self, data: bytes) -> None:
        """Take what the socket gave."""
        if self._buffer is None:
            self._buffer = bytearray(data)
        else:
            self._buffer += data

    def next(self) -> Incoming | None:
        """The next whole frame, or None until more is fed. Raises ``ProtocolError``."""
        buffer = self._buffer
        if buffer is None or len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, final = first & 0x0F, bool(first & 0x80)
        self._check_header(first, second, opcode, final)
        size, start = second & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        held = self._size if opcode < CLOSE else 0
        if held + size > self._limit:
            raise ProtocolError(1009, "a message that is too big")
        end = start + 4 + size
        if len(buffer) < end:
            return None
        payload = bytes(buffer[start + 4 : end])
        if size:
            payload = unmask(payload, bytes(buffer[start : start + 4]))
        if len(buffer) == end:
            self._buffer = None
        else:
            del buffer[:end]
        if opcode >= CLOSE:
            return Incoming(opcode, None, payload)
        if opcode == TEXT:
            self._is_deflated = bool(first & COMPRESSED)
        return self._join(opcode, payload, final)

    def _check_header(self, first: int, second: int, opcode: int, final: bool) -> None:
        # Of a compressed message the first frame says so.
        if first & (0x30 if self._deflates and opcode == TEXT else 0x70):
            raise ProtocolError(1002, "a frame with reserved bits")
        if not second & 0x80:
            raise ProtocolError(1002, "a frame without a mask")
        if opcode >= CLOSE:
            if opcode not in (CLOSE, PING, PONG):
                raise ProtocolError(1002, "an unknown opcode")
            if not final or second & 0x7F > 125:
                raise ProtocolError(1002, "a control frame that is fragmented or too long")
        elif opcode == BINARY:
            raise ProtocolError(1003, "a binary frame")
        elif opcode not in (0, TEXT):
            raise ProtocolError(1002, "an unknown opcode")
        elif (opcode == TEXT) is (self._fragments is not None):
            raise ProtocolError(1002, "a fragment out of place")

    def _join(self, opcode: int, payload: bytes, final: bool) -> Incoming:
        if not final:
            if self._fragments is None:
                self._fragments = []
            if payload:  # empty ones would make the list grow without bound
                self._fragments.append(payload)
                self._size += len(payload)
            return Incoming(opcode, None, b"")
        if self._fragments is not None:
            payload = b"".join((*self._fragments, payload))
            self._fragments, self._size = None, 0
        if self._is_deflated:
            payload = inflated(payload, self._limit)
        try:
            return Incoming(TEXT, payload.decode(), b"")
        except UnicodeDecodeError:
            raise ProtocolError(1007, "text that is not UTF-8") from None
