"""Others: clients of a small page, and how long changes take to reach them."""

from __future__ import annotations

import selectors
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos import stories
from tests.chaos.crowd import joined
from tests.chaos.history import History
from tests.chaos.reporter import Reporter
from tests.chaos.views_hostile import SMALL

WAIT = 20


class Watchers:
    """Some clients of the small page in one thread: each gets each save once, in order."""

    def __init__(
        self, port: int, origin: str, token: str, loaded: float, count: int, database: str
    ) -> None:
        self._loaded = loaded
        self._commits = [stories.saved(SMALL, 0)]
        self._database = sqlite3.connect(database, isolation_level=None)
        # It has to be there for readers, not after a power cut.
        self._database.execute("PRAGMA synchronous = OFF")
        self._selector = selectors.DefaultSelector()
        self._members = [joined(port, origin, {"page": token}) for _ in range(count)]
        for member in self._members:
            self._selector.register(member.sock, selectors.EVENT_READ, member)

    @property
    def received(self) -> int:
        """How many events of the small page they have got."""
        return sum(len(each.of("small")) for each in self._members)

    def probe(self, reporter: Reporter, seconds: float) -> list[float]:
        """Save after save for so long; the seconds from each report to each client."""
        until, taken = time.monotonic() + seconds, []
        while time.monotonic() < until:
            self._save()
            begun = time.monotonic()
            reporter.change(SMALL)
            taken += [moment - begun for moment in self._arrivals()]
        return taken

    def _save(self) -> None:
        commit = stories.saved(SMALL, len(self._commits))
        sql = "UPDATE project_author SET name = ? WHERE id = ?"
        self._database.execute(sql, (f"version-{commit.version}.", commit.pk))
        self._commits.append(commit)

    def _arrivals(self) -> Iterator[float]:
        waiting = set(self._members)
        until = time.monotonic() + WAIT
        while waiting:
            assert time.monotonic() < until, f"{len(waiting)} clients got nothing"
            for key, _ in self._selector.select(WAIT):
                member = key.data
                before = len(member.events)
                data = member.sock.recv(65536)
                assert data, "a client that did no wrong was closed"
                member.feed(data)
                if member in waiting and any(e.name == "small" for e in member.events[before:]):
                    waiting.remove(member)
                    yield time.monotonic()

    def check(self) -> None:
        """Assert that each got each save: once, in order, and nothing else."""
        told = {
            f"client {number}": stories.story({"small": SMALL}, self._loaded, each.events)
            for number, each in enumerate(self._members)
        }
        sql = "SELECT id, name FROM project_author WHERE id = ?"
        names = dict(self._database.execute(sql, (SMALL,)).fetchall())
        History(self._commits, stories=told).check(stories.rows(names))
        # Nothing is saved before the last save was shown, so that none is left out.
        wanted = [{SMALL: each.version} for each in self._commits[1:]]
        for story in told.values():
            assert [getattr(each, "versions", each) for each in story[1:]] == wanted

    def close(self) -> None:
        self._selector.close()
        self._database.close()
        for member in self._members:
            member.sock.close()


def p99(seconds: list[float]) -> float:
    """In milliseconds."""
    return statistics.quantiles(seconds, n=100)[98] * 1000


def rss(pid: int) -> float:
    """Resident memory in MB, of 1,000,000 bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


class Peak:
    """The most memory that a process was seen to have."""

    mb = 0.0


@contextmanager
def peak_of(pid: int) -> Iterator[Peak]:
    """Look twenty times a second."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            peak.mb = max(peak.mb, rss(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
        peak.mb = max(peak.mb, rss(pid))
