"""A load client: thousands of WebSockets in one process, which count what comes.

Run by the benchmarks in a virtual environment that has picows, a compiled WebSocket client.
It reads commands as lines of JSON and answers each with one:

``{"connect": 1000, "url": "ws://…", "auth": {…}, "mark": "42[\\"bench\\"", "ready": "40"}``
    opens connections, one after another, and waits until all are ready: as a client of
    Socket.IO with ``auth``, or of bare WebSockets without it, where ``"hello"`` is sent
    first. ``ready`` is how the packet begins by which one is, empty where it is at once;
    ``mark`` is how events begin. ``"at_once"`` is how many may be on their way, 1 by default.
    With ``"strangers"`` each has a cookie of its own, as visitors of one page do.
``{"wait": 1000}``
    waits until so many more events have come; answers when the last came, in seconds
    since the epoch. Those that have not within five seconds are ``missing``.

Each answer has ``cpu``, the seconds of CPU that this process has used.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import resource
import sys
import time
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

PATIENCE = 5


class Counter:
    """What has come by all connections."""

    def __init__(self) -> None:
        self.ready = self.events = self.waited_for = self.missing = 0
        self.last = 0.0
        self.changed = asyncio.Event()

    def event(self) -> None:
        self.events += 1
        self.last = time.time()
        if self.events == self.waited_for:
            self.changed.set()


class Connection(WSListener):  # type: ignore[misc]
    """One client."""

    def __init__(self, counter: Counter, told: dict[str, Any]) -> None:
        auth = told.get("auth")
        self.counter, self.mark = counter, told["mark"].encode()
        self.join = None if auth is None else b"40" + json.dumps(auth).encode()
        self.hello, self.ready_mark = told["hello"].encode(), told["ready"].encode()
        self.ready = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self.hello:
            transport.send(WSMsgType.TEXT, self.hello)
        if not self.ready_mark:
            self.is_ready()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        data = frame.get_payload_as_bytes()
        if data.startswith(self.mark):
            self.counter.event()
        elif data == b"2":
            transport.send(WSMsgType.TEXT, b"3")
        elif self.join is not None and data.startswith(b"0"):
            transport.send(WSMsgType.TEXT, self.join)
        elif self.ready_mark and data.startswith(self.ready_mark):
            self.is_ready()
        elif data.startswith(b"44"):
            raise SystemExit(f"refused: {data!r}")

    def is_ready(self) -> None:
        self.counter.ready += 1
        self.ready.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.ready.is_set():
            raise SystemExit("a connection was closed before it was ready")


async def connect(counter: Counter, kept: list[Any], told: dict[str, Any]) -> None:
    """Open the connections that a command asks for."""
    turns = asyncio.Semaphore(told.get("at_once", 1))
    numbers = itertools.count(len(kept))

    async def one() -> None:
        headers = [("Cookie", f"visitor={next(numbers)}")] if told["strangers"] else []
        async with turns:
            made = Connection(counter, told)
            kept.append(
                await ws_connect(
                    lambda: made, told["url"], enable_auto_pong=True, extra_headers=headers
                )
            )
            await made.ready.wait()

    await asyncio.gather(*(one() for _ in range(told["connect"])))


async def wait(counter: Counter, count: int) -> None:
    counter.waited_for += count
    if counter.events < counter.waited_for:
        counter.changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(counter.changed.wait(), PATIENCE)
    counter.missing = counter.waited_for - counter.events
    counter.waited_for = counter.events


async def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counter, kept = Counter(), []
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(line)
        if "connect" in told:
            await connect(counter, kept, told)
        elif "wait" in told:
            await wait(counter, told["wait"])
        answer = {
            "ready": counter.ready,
            "events": counter.events,
            "last": counter.last,
            "missing": counter.missing,
            "cpu": time.process_time(),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
