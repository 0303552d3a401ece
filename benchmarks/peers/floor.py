"""The floor under every server: a bare loop over ``send``, in C, and no work beside it.

Run as a process of its own, with the path of the compiled loop: it takes WebSockets by picows,
and sends an event to all of them for each line that it reads, answering with the CPU seconds
of the loop alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import struct
import sys

from picows import WSListener, WSTransport, WSUpgradeRequest, ws_create_server


def frame(text: bytes) -> bytes:
    """An unmasked text frame of 126 to 65,535 bytes (RFC 6455, 5.2)."""
    return struct.pack("!BBH", 0x81, 126, len(text)) + text


async def serve() -> None:
    fan_out = ctypes.CDLL(sys.argv[1]).fan_out
    fan_out.restype = ctypes.c_double
    data = frame(os.environ["EVENT"].encode())
    sockets: list[int] = []

    class Connection(WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: WSTransport) -> None:
            sock = transport.underlying_transport.get_extra_info("socket")
            sockets.append(sock.fileno())

    def listener(request: WSUpgradeRequest) -> Connection:
        return Connection()

    server = await ws_create_server(listener, "127.0.0.1", 0)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        numbers = (ctypes.c_int * len(sockets))(*sockets)
        took = fan_out(numbers, len(sockets), data, ctypes.c_size_t(len(data)))
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
