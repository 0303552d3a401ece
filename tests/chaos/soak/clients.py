"""Clients that come and go: by page and by URL, over WebSocket and polling, well and badly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.live.clients import page_record
from tests.live.processes import Live

from .wire import Polling, WebSocket, get

AUTHORS = 20
USERS = 10
ROOMS = 10

# Of a hundred lives.
WAYS = {
    "page": 45,
    "polling": 15,
    "url": 5,
    "user": 15,
    "slow": 5,
    "bad token": 4,
    "stranger": 4,
    "flood": 3,
    "silent": 4,
}
TOKENS = re.compile(r'<script id="tokens".*?>(.*?)</script>')
GONE = (OSError, EOFError, TimeoutError)


@dataclass
class Crowd:
    """So many clients, one life after the other.

    ``stay`` is the mean of a stay in seconds. ``vanish``: some leave without a
    sign, which the push server notices when a pong is due (45 seconds).
    """

    live: Live
    clients: int
    stay: float
    vanish: bool
    seed: int = 1
    counted: Counter[str] = field(default_factory=Counter)
    connected: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._over = asyncio.Event()

    async def run(self, seconds: float) -> None:
        """Let them come and go for so long; all are gone when this returns."""
        self._over.clear()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.clients):
                group.create_task(self._lives())
            group.create_task(self._writes())
            await asyncio.sleep(seconds)
            self._over.set()

    async def _lives(self) -> None:
        # Not all at once, and not by URL: that is limited for each address.
        await self.rest(self._random.uniform(0, self.stay))
        while not self._over.is_set():
            (way,) = self._random.choices(list(WAYS), list(WAYS.values()))
            self.counted["lives"] += 1
            try:
                await Life(self, way, self._random).live_it()
            except GONE:
                self.counted["broken"] += 1
            await self.rest(self._random.uniform(0, 0.2))

    async def _writes(self) -> None:
        count = 0
        while not self._over.is_set():
            count += 1
            pk = self._random.randint(1, AUTHORS)
            await get(self.live.site_port, f"/author/{pk}/save/?name=name{count}")
            self.counted["saves"] += 1
            if count % 5 == 0:
                room = f"soak-{self._random.randrange(ROOMS)}"
                sent = {"send_update": [room, count], "notify_all": [count]}
                await get(self.live.site_port, f"/send/?do={quote(json.dumps(sent))}")
                self.counted["messages"] += 2
            await self.rest(0.1)

    async def rest(self, seconds: float) -> None:
        """Wait, unless all is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    @property
    def is_over(self) -> bool:
        return self._over.is_set()


class Life:
    """From a page that is loaded to a client that is gone."""

    def __init__(self, crowd: Crowd, way: str, random: random.Random) -> None:
        self.crowd, self.way, self.random = crowd, way, random
        self.live, self.counted = crowd.live, crowd.counted
        self.headers: dict[str, str] = {}
        self.safe = self.channel = ""

    async def live_it(self) -> None:
        auth = await self._auth()
        await self._connection(auth)
        # Some come back to the same page, with what they know.
        while self.safe and self.random.random() < 0.4 and not self.crowd.is_over:
            self.counted["came back"] += 1
            await self._connection(auth | {"since": self.safe})
        if self.way == "user" and self.random.random() < 0.3:
            self.counted["logged out"] += 1
            await get(self.live.site_port, "/log-out/", self.headers)

    async def _auth(self) -> dict[str, Any]:
        pk = self.random.randint(1, AUTHORS)
        if self.way == "url":
            return {"url": f"/bench/{pk}/"}
        if self.way == "bad token":
            return {"page": "x" * self.random.randint(1, 9000)}
        path = f"/bench/{pk}/" if self.random.random() < 0.9 else "/authors/"
        if self.way == "user":
            path = "/by-map/"
            name = f"user{self.random.randint(1, USERS)}"
            answer = await get(self.live.site_port, f"/log-in/{name}/")
            self.headers = {"Cookie": answer.cookie, "Origin": "http://127.0.0.1"}
        if self.way == "stranger":
            self.headers = {"Origin": "http://evil.example"}
        elif self.random.random() < 0.2:
            path = f"/room/soak-{self.random.randrange(ROOMS)}/"
        answer = await get(self.live.site_port, path, self.headers)
        if tokens := TOKENS.search(answer.text):
            self.channel = json.loads(tokens[1])["channel"]
        return {"page": page_record(answer.text)["page"]}

    async def _connection(self, auth: dict[str, Any]) -> None:
        kind = Polling if self.way == "polling" else WebSocket
        wire = kind(self.live.port, self.headers)
        self.crowd.connected += 1
        try:
            if await wire.open() not in (101, 200):
                self.counted["refused"] += 1
                return
            await self._stay(wire, auth)
        finally:
            self.crowd.connected -= 1
            wire.drop()

    async def _stay(self, wire: Polling | WebSocket, auth: dict[str, Any]) -> None:
        seconds = min(self.random.expovariate(1 / self.crowd.stay), 4 * self.crowd.stay)
        if self.way == "silent":
            await self.crowd.rest(seconds)
            return
        await wire.send("40" + json.dumps(auth))
        if self.way == "slow":
            await self.crowd.rest(seconds)
            return
        if self.way == "flood":
            for _ in range(300):
                await wire.send('42["x"]')
        reading = asyncio.create_task(self._read(wire))
        resting = asyncio.create_task(self.crowd.rest(seconds))
        try:
            await asyncio.wait({reading, resting}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                self.counted["ended by the server"] += 1
            else:
                await _end(reading)
                await self._leave(wire)
        finally:
            resting.cancel()
            await _end(reading)

    async def _leave(self, wire: Polling | WebSocket) -> None:
        how = self.random.random()
        if self.crowd.vanish and how < 0.1:
            self.counted["vanished"] += 1
            await self.crowd.rest(50)
        elif how < 0.5 or (not self.crowd.vanish and self.way == "polling"):
            await wire.bid_goodbye()

    async def _read(self, wire: Polling | WebSocket) -> None:
        while packets := await wire.read():
            for packet in packets:
                if packet == "2":
                    await wire.send("3")
                elif packet.startswith("44"):
                    self.counted["refused"] += 1
                    return
                elif packet.startswith("42"):
                    await self._event(wire, *json.loads(packet[2:]))
                elif packet in ("1", "41"):
                    return

    async def _event(self, wire: Polling | WebSocket, name: str, *arguments: Any) -> None:
        self.counted["control" if name.startswith("serverpush:") else "events"] += 1
        told = arguments[-1]
        if name == "serverpush:ready" and told["live"]:
            self.safe = told["position"]
        if name == "serverpush:ready" and self.channel:
            await wire.send(f"421{json.dumps(['subscribe', {'channel': self.channel}])}")
        self.safe = told.get("safe", self.safe)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, *GONE):
        await task
