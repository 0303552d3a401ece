"""Clients that mean no good: one that reads nothing, and floods. Run as processes of their own:

``python -m tests.chaos.hostile KIND PORT TOKEN`` begins at once, comes back whenever it is
closed, and ends at a line on its standard input with what it saw as JSON.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CONTINUATION = 1, 2, 0
WAIT = 20
PAUSE = 0.05
"""Seconds between two signs of life of the client that does not read."""


def frame(payload: bytes, opcode: int = TEXT, final: bool = True) -> bytes:
    """A masked frame; the mask is zero, so the payload is plain (RFC 6455, 5.2)."""
    first, size = (0x80 if final else 0) | opcode, len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


def join(port: int, token: str) -> socket.socket:
    """A joined WebSocket, which has read no further than ``serverpush:ready``."""
    sock = socket.create_connection(("127.0.0.1", port), WAIT)
    sock.sendall(HANDSHAKE + frame(b"40" + json.dumps({"page": token}).encode()))
    got = b""
    while b"serverpush:ready" not in got:
        data = sock.recv(4096)
        if not data:
            raise ConnectionError(f"closed before it was joined: {got[-300:]!r}")
        got += data
    return sock


# Floods: what is sent, again and again, until the push server closes.

EVENT = b'42["flood"]'
DEEP = b'42["flood",' + b"[" * 480 + b"]" * 480 + b"]"


def _again(data: bytes) -> Iterator[bytes]:
    while True:
        yield data


def _fragments() -> Iterator[bytes]:
    yield frame(b"42", TEXT, final=False)
    yield from _again(frame(b"x" * 100, CONTINUATION, final=False) * 50)


def _empty_fragments() -> Iterator[bytes]:
    yield frame(b"42", TEXT, final=False)
    yield from _again(frame(b"", CONTINUATION, final=False) * 500)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "100 B": lambda: _again(frame(EVENT.ljust(100)) * 50),
    "1 MB": lambda: _again(frame(EVENT.ljust(1_000_000))),
    "fragments": _fragments,
    "empty fragments": _empty_fragments,
    "deep JSON": lambda: _again(frame(DEEP) * 10),
    "too deep JSON": lambda: _again(frame(b"42" + b"[" * 16_000)),
    "attachments": lambda: _again(
        frame(b'451-["flood",{"_placeholder":true,"num":0}]') + frame(b"x" * 10_000, BINARY)
    ),
    "pings": lambda: _again(frame(b"x" * 100, 9) * 50),
}


def flood(kind: str, port: int, token: str) -> tuple[float, int]:
    """Send until closed; the seconds that it took and the bytes that were taken meanwhile."""
    with join(port, token) as sock:
        begun, sent = time.monotonic(), 0
        try:
            for data in FLOODS[kind]():
                sock.sendall(data)
                sent += len(data)
                if select.select([sock], [], [], 0)[0] and not sock.recv(65536):
                    break
                if time.monotonic() - begun > WAIT:
                    raise SystemExit(f"{kind}: not closed within {WAIT} s")
        except ConnectionError:
            pass
        return time.monotonic() - begun, sent


def read_nothing(port: int, token: str, over: Callable[[], bool]) -> tuple[float, bool]:
    """Say that one is alive and read nothing; the seconds, and whether one was closed."""
    with join(port, token) as sock:
        begun = time.monotonic()
        # The push server's goodbye waits behind what is not read: a reset tells it.
        while not over():
            try:
                sock.sendall(frame(b"6"))
            except ConnectionError:
                return time.monotonic() - begun, True
            # The pace of what it sends, below the flood limit: nothing is waited for.
            time.sleep(PAUSE)
        return time.monotonic() - begun, False


def read_all(port: int, token: str, over: Callable[[], bool]) -> int:
    """Read everything, as others do; the bytes."""
    taken = 0
    with join(port, token) as sock:
        sock.settimeout(PAUSE)
        buffer = bytearray(1 << 20)
        while not over():
            try:
                size = sock.recv_into(buffer)
            except TimeoutError:
                continue
            if not size:
                raise SystemExit("closed, although it read everything")
            if buffer[:3] == b"\x81\x012":
                sock.sendall(frame(b"3"))
            taken += size
    return taken


def _told_to_end() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    kind, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if kind == "reads all":
        print(json.dumps({"bytes": read_all(port, token, _told_to_end)}))
        return
    lives: list[float] = []
    closed = sent = 0
    while not _told_to_end():
        if kind == "reads nothing":
            seconds, was_closed = read_nothing(port, token, _told_to_end)
            closed += was_closed
        else:
            seconds, size = flood(kind, port, token)
            sent, closed = sent + size, closed + 1
        lives.append(seconds)
    print(json.dumps({"closed": closed, "slowest": max(lives), "sent": sent}))


if __name__ == "__main__":
    main()
