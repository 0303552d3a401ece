"""One client: an open page in a browser, which does what js/src does."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.chaos import script, wire
from tests.chaos.history import Applied, Asked, Entry, Known, Loaded, Told, apply
from tests.chaos.kinds import Kind
from tests.chaos.notes import Heard, Notes

if TYPE_CHECKING:
    from tests.chaos.fleet import Fleet

HOST = "127.0.0.1"
NOTE = "note"
REFUSED_TOKEN = ("token_expired", "session_mismatch", "bad_token")
SHOWN = re.compile(r'<script id="shown" type="application/json">(.*?)</script>')


@dataclass(frozen=True)
class Page:
    """A page as it was loaded."""

    token: str
    since: str
    loaded: Loaded


class Link(asyncio.Protocol):
    """One connection of a client, or an attempt at one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._frames: wire.Frames | None = None
        self._head = b""
        self._transport: Any = None
        self.began = self.heard = time.monotonic()
        self.ready_at: float | None = None
        self.patience = 45.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        fleet = self._client.fleet
        fleet.links.add(self)
        cookie = self._client.kind.cookie
        headers = {"Cookie": cookie} if cookie else {}
        transport.write(wire.handshake(HOST, fleet.port, fleet.origin, **headers))

    def data_received(self, data: bytes) -> None:
        if self._frames is None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.cut()
                return
            self._frames = wire.Frames()
        for kind, text in self._frames.feed(data):
            if self._client.link is not self:
                return
            if kind == wire.CLOSE:
                self.cut()
            elif kind == wire.TEXT:
                self._take(text)

    def _take(self, text: bytes) -> None:
        if text.startswith(b"42"):
            self._client.received(*wire.packet(text[2:]))
        elif text.startswith(b"43"):
            # There is but one subscription to be answered.
            self._client.subscribed(json.loads(text[text.index(b"[") :])[0])
        elif text == b"2":
            self.heard = time.monotonic()
            self._transport.write(wire.frame("3"))
        elif text.startswith(b"0"):
            told = json.loads(text[1:])
            self.patience = (told["pingInterval"] + told["pingTimeout"]) / 1000
            self._transport.write(wire.frame("40" + json.dumps(self._client.auth())))
        elif text.startswith(b"44"):
            self._client.refused(json.loads(text[2:])["data"]["code"])
        elif text.startswith(b"41"):
            self.cut()

    def emit(self, name: str, data: Any) -> None:
        """Send an event that is to be acknowledged."""
        self._transport.write(wire.frame(f"421{json.dumps([name, data])}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._client.fleet.links.discard(self)
        self._client.lost(self)

    def cut(self) -> None:
        """End it at once, without a word."""
        if self._transport is not None:
            self._transport.abort()

    def is_silent(self, now: float) -> bool:
        if self.ready_at is None:
            return now - self.began > script.CONNECT_TIMEOUT
        return now - self.heard > self.patience


class Client:
    """One page that is open in one browser."""

    def __init__(self, fleet: Fleet, kind: Kind, story: list[Entry]) -> None:
        self.fleet = fleet
        self.kind = kind
        self.story = story
        self.shown: dict[str, dict[int, int]] = {}
        self.link: Link | None = None
        self.connects = 0
        self.last_note = 0
        self._replay: script.Replay | None = None
        self._page: Page | None = None
        self._renewed = ""
        self._subscription: script.Subscription | None = None
        # The safe position with which this connection began.
        self._began_at: str | None = None
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._refreshing = False
        self._throttle = script.Throttle()
        self._refresh_backoff = script.Backoff(script.REFRESH_BACKOFF)

    def has_heard_all(self, notes: Notes) -> bool:
        return self._page is None or not notes.is_behind(self._page.loaded.at, self.last_note)

    @property
    def is_ready(self) -> bool:
        return self.link is not None and self.link.ready_at is not None

    # client.js

    def adopt(self, page: Page) -> None:
        self._page = page
        self._renewed = ""
        earlier = self._replay
        self._replay = earlier.renewed(page.since) if earlier else script.Replay(page.since)
        self.story.append(page.loaded)
        self.shown = {name: dict(those) for name, those in page.loaded.shown.items()}
        if self.fleet.channel:
            self._subscription = script.Subscription(self.fleet.channel, page.since)
        self._backoff = script.Backoff(script.BACKOFF)
        self._slow_backoff = script.Backoff(script.SLOW_BACKOFF)
        self.start()

    def auth(self) -> dict[str, Any]:
        assert self._page is not None
        assert self._replay is not None
        self._began_at = self._replay.safe
        return {"page": self._renewed or self._page.token, "since": self._replay.since}

    def received(self, name: str, data: Any, meta: dict[str, Any]) -> None:
        assert self._replay is not None
        if name == "serverpush:ready":
            assert self.link is not None
            # It comes again to a quiet page.
            if self._subscription is not None and self.link.ready_at is None:
                self.link.emit("subscribe", self._subscription.asked(self._began_at))
            self.link.ready_at = time.monotonic()
            self._slow_backoff.reset()
            if data["live"]:
                self._replay.advance(data["position"])
        elif name == "serverpush:refresh":
            self._told(data["reason"], data.get("within", 0))
        elif not self._replay.take(meta["id"], meta["safe"], is_message="model" not in meta):
            if name != NOTE:
                pk = None if name in self.kind.lists else meta["pk"]
                self.story.append(Known(name, meta["id"], pk))
        elif name == NOTE:
            self.story.append(Heard(meta["id"], data["number"]))
            self.last_note = data["number"]
        else:
            self._update(name, data, meta)

    def subscribed(self, answer: dict[str, Any]) -> None:
        if answer.get("code") == "server_error":
            # The server is about to end, and this connection with it: the next one asks again.
            return
        assert answer.get("ok"), f"{self.kind.path} is not subscribed: {answer}"
        assert self._subscription is not None
        self._subscription.taken(answer["position"])

    def _update(self, name: str, data: Any, meta: dict[str, Any]) -> None:
        self._renewed = meta.get("page", self._renewed)
        event = _applied(name, data, meta, is_whole=name in self.kind.lists)
        self.story.append(event)
        apply(self.shown, event)

    def refused(self, code: str) -> None:
        if code == "too_many_connections":
            self._end()
            self._retry_after(self._slow_backoff.next())
        elif code == "server_error":
            assert self.link is not None
            self.lost(self.link)
        elif code in REFUSED_TOKEN:
            self.stop()
            self._told(code)
        else:
            raise AssertionError(f"{self.kind.path} is refused: {code}")

    # connection.js

    def start(self) -> None:
        self._running = True
        self._open()

    def stop(self) -> None:
        self._running = False
        self._end()

    def lost(self, link: Link) -> None:
        if link is not self.link:
            return
        if link.ready_at is not None and time.monotonic() - link.ready_at >= script.STEADY:
            self._backoff.reset()
        self._end()
        self._retry_after(self._backoff.next())

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        link, self.link = self.link, None
        if link is not None:
            link.cut()

    def _retry_after(self, wait: float) -> None:
        if self._running:
            self._timer = self.fleet.loop.call_later(wait, self._open)

    def _open(self) -> None:
        self._timer = None
        if self._running and self.link is None:
            self.link = Link(self)
            self.connects += 1
            self.fleet.spawn(self._connect(self.link))

    async def _connect(self, link: Link) -> None:
        try:
            await self.fleet.loop.create_connection(lambda: link, HOST, self.fleet.port)
        except OSError:
            self.lost(link)
            return
        if self.link is not link:
            link.cut()

    # refresh.js

    def _told(self, reason: str, within: float = 0) -> None:
        self.story.append(Told(reason))
        if not self._refreshing:
            self._refreshing = True
            held = self._throttle.next(time.monotonic())
            self._fetch_after(held + max(script.JITTER, within) * random.random())

    def _fetch_after(self, wait: float) -> None:
        self.fleet.loop.call_later(wait, lambda: self.fleet.spawn(self._refresh()))

    async def _refresh(self) -> None:
        self.story.append(Asked())
        try:
            page = await self.fleet.load(self.kind)
        except OSError:
            self._fetch_after(self._refresh_backoff.next())
            return
        self._refresh_backoff.reset()
        self._refreshing = False
        self.stop()
        self.adopt(page)


def shown(text: str) -> dict[str, dict[int, int]]:
    found = SHOWN.search(text)
    assert found, f"the page does not say what it shows: {text[:200]!r}"
    return {name: _keyed(those) for name, those in json.loads(found[1]).items()}


def _keyed(versions: dict[str, int]) -> dict[int, int]:
    return {int(pk): version for pk, version in versions.items()}


def _applied(name: str, data: Any, meta: dict[str, Any], is_whole: bool) -> Applied:
    pk, action = meta["pk"], meta["action"]
    if is_whole:
        versions = shown(data)[name]
    else:
        versions = {} if action == "removed" else {pk: data["version"]}
    return Applied(name, meta["id"], meta["safe"], pk, action, versions, is_whole)
