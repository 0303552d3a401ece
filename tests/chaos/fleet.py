"""Thousands of clients in one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tests.chaos import wire
from tests.chaos.browser import HOST, Client, Link, Page, shown
from tests.chaos.history import History, Loaded, Rows, expected
from tests.chaos.kinds import Kind
from tests.chaos.notes import Notes
from tests.live.clients import page_record

# Clients that connect at once where nothing is to be tested by it.
JOINING = 100
SWEEP_SECONDS = 1.0

T = TypeVar("T")


class Fleet:
    """Clients of one site and one push server, in an event loop of their own thread.

    Arguments:
        site_port: the site's.
        port: the push server's.
        history: where what happens to the clients is written down.
        channel: a token for the channel by which notes come; "" where they are for everybody.
    """

    def __init__(self, site_port: int, port: int, history: History, channel: str = "") -> None:
        self.site_port, self.port = site_port, port
        self.channel = channel
        self.origin = f"http://{HOST}:{site_port}"
        self.clients: list[Client] = []
        self.errors: list[str] = []
        self.links: set[Link] = set()
        self.loop = asyncio.new_event_loop()
        self._history = history
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.loop.set_exception_handler(lambda _, context: self.errors.append(str(context)))
        self._thread = threading.Thread(target=self.loop.run_forever, name="fleet")
        self._thread.start()
        self.loop.call_soon_threadsafe(self._sweep)

    # for the test's thread

    def join(self, kinds: Iterable[Kind], timeout: float = 120) -> None:
        """Open these pages, and wait until they are connected. Equal pages are loaded once."""
        asyncio.run_coroutine_threadsafe(self._join(list(kinds)), self.loop).result(timeout)

    def ask(self, question: Callable[[list[Client]], T]) -> T:
        """What ``question`` says of the clients, asked in their thread."""

        async def answer() -> T:
            return question(self.clients)

        assert not self.errors, self.errors[:3]
        return asyncio.run_coroutine_threadsafe(answer(), self.loop).result(60)

    def connects(self) -> int:
        """How many connections were attempted by now."""
        return self.ask(lambda clients: sum(each.connects for each in clients))

    def ready(self) -> int:
        """How many clients are connected."""
        return self.ask(lambda clients: sum(each.is_ready for each in clients))

    def behind(self, rows: Rows) -> int:
        """How many clients do not show these rows, miss a note, or are not connected."""
        wanted = {}
        notes = Notes(list(self._history.sent))

        def is_behind(client: Client) -> bool:
            kind = client.kind
            if kind.path not in wanted:
                wanted[kind.path] = expected(kind.watches, rows)
            is_here = client.is_ready and client.has_heard_all(notes)
            return not is_here or client.shown != wanted[kind.path]

        return self.ask(lambda clients: sum(map(is_behind, clients)))

    def cut(self) -> None:
        """Break all connections; the clients come back as they do."""
        self.ask(lambda clients: [each.link.cut() for each in clients if each.link])

    def suspend(self) -> None:
        """Let all pages be hidden: they end their connections."""
        self.ask(lambda clients: [each.stop() for each in clients])

    def resume(self) -> None:
        """Show all pages again: they connect, all at once."""
        self.ask(lambda clients: [each.start() for each in clients])

    def close(self) -> None:
        assert not self.errors, self.errors[:3]
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    # in the fleet's own thread

    async def load(self, kind: Kind) -> Page:
        """Load a page from the site; raises ``OSError`` where it can't be had."""
        at = time.time()
        html = await wire.get(HOST, self.site_port, kind.path, kind.cookie)
        record = page_record(html)
        return Page(record["page"], record["since"], Loaded(kind.watches, shown(html), at))

    def spawn(self, work: Any) -> None:
        if self._closing:
            work.close()
            return
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, kinds: list[Kind]) -> None:
        pages: dict[tuple[str, str], Page] = {}
        for number, kind in enumerate(kinds, len(self.clients)):
            page = kind.path, kind.cookie
            if page not in pages:
                pages[page] = await self.load(kind)
            story = self._history.stories.setdefault(f"{number} {kind.path}", [])
            client = Client(self, kind, story)
            self.clients.append(client)
            client.adopt(pages[page])
            while len(self.clients) - sum(each.is_ready for each in self.clients) >= JOINING:
                await asyncio.sleep(0.02)
        while not all(each.is_ready for each in self.clients):
            await asyncio.sleep(0.02)

    def _sweep(self) -> None:
        now = time.monotonic()
        for client in self.clients:
            if client.link is not None and client.link.is_silent(now):
                client.link.cut()
        self.loop.call_later(SWEEP_SECONDS, self._sweep)

    async def _end(self) -> None:
        self._closing = True
        for client in self.clients:
            client.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # One that was loading its page anew may have opened another.
        for link in list(self.links):
            link.cut()
        while self.links:
            await asyncio.sleep(0)
