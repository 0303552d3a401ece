"""A load client: many WebSockets in one process, which only count what comes.

Run by the benchmarks as a process of its own: ``python -m benchmarks.load PORT
CLIENTS TOKEN``. Prints ``joined`` when all are, then answers each line ``COUNT``
on its standard input with ``done`` when so many events have come in all.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import struct
import sys

MARK = b'["bench",'
CHUNK = 1 << 16
HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: {key}\r\n\r\n"
)


def frame(text: str) -> bytes:
    """A masked text frame; the mask is zero, so the payload is plain (RFC 6455, 5.2)."""
    data = text.encode()
    size = len(data)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else None
    head = head or struct.pack("!BBH", 0x81, 0x80 | 126, size)
    return head + b"\0\0\0\0" + data


def join(port: int, token: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(HANDSHAKE.format(port=port, key=key).encode())
    sock.sendall(frame("40" + json.dumps({"page": token})))
    got = b""
    while b"serverpush:ready" not in got:
        data = sock.recv(CHUNK)
        if not data:
            raise SystemExit(f"the push server closed a connection: {got!r}")
        got += data
    sock.setblocking(False)
    return sock


def main() -> None:
    port, count, token = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    selector = selectors.DefaultSelector()
    for _ in range(count):
        selector.register(join(port, token), selectors.EVENT_READ)
    print("joined", flush=True)
    total = 0
    for line in sys.stdin:
        wanted = total + int(line)
        while total < wanted:
            for key, _ in selector.select():
                data = key.fileobj.recv(CHUNK)
                total += data.count(MARK)
                if data == b"\x81\x012":  # a ping
                    key.fileobj.sendall(frame("3"))
        print("done", flush=True)


if __name__ == "__main__":
    main()
