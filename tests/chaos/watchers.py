"""Others: clients of a small page, and how long changes take to reach them."""

from __future__ import annotations

import http.client
import json
import re
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos import hostile

MARK = b'["small",'
ID = re.compile(rb'\["small",.*?"id":"([^"]+)"')
PING = b"\x81\x012"
WAIT = 20


class Reporter:
    """Reports changes on a kept-alive connection to the notifier."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        self._headers = {"Authorization": f"Bearer {key}"}

    def change(self, *pks: int) -> None:
        """Authors changed."""
        self.post({"changes": [{"model": "project.author", "pk": pk} for pk in pks]})

    def post(self, body: dict[str, Any]) -> None:
        self._connection.request("POST", "/notify", json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        assert (answer.status, answer.read()[:12]) == (202, b'{"accepted":')

    def close(self) -> None:
        self._connection.close()


class Watchers:
    """Some clients of the small page in one thread: each gets each change once, in order."""

    def __init__(self, port: int, token: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets = [hostile.join(port, token) for _ in range(count)]
        for sock in self._sockets:
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)
        self._last = dict.fromkeys(self._sockets, b"")
        self.received = 0

    def probe(self, reporter: Reporter, pk: int, seconds: float) -> list[float]:
        """Change after change for so long; the seconds that each took to each client."""
        until, taken = time.monotonic() + seconds, []
        while time.monotonic() < until:
            begun = time.monotonic()
            reporter.change(pk)
            taken += [moment - begun for moment in self._arrivals()]
        return taken

    def _arrivals(self) -> Iterator[float]:
        waiting = dict.fromkeys(self._sockets, b"")
        until = time.monotonic() + WAIT
        while waiting:
            assert time.monotonic() < until, f"{len(waiting)} clients got nothing"
            for key, _ in self._selector.select(WAIT):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                data = sock.recv(65536)
                assert data, "a client that did no wrong was closed"
                if PING in data:
                    sock.sendall(hostile.frame(b"3"))
                if sock not in waiting:
                    # A word on where it stands, not of a change.
                    assert MARK not in data, f"twice: {data!r}"
                    continue
                seen = waiting[sock] + data
                if found := ID.findall(seen):
                    assert len(found) == 1, f"twice: {seen!r}"
                    assert self._last[sock] < found[0], f"out of order: {seen!r}"
                    self._last[sock] = found[0]
                    del waiting[sock]
                    self.received += 1
                    yield time.monotonic()
                else:
                    waiting[sock] = seen

    def close(self) -> None:
        self._selector.close()
        for sock in self._sockets:
            sock.close()


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
