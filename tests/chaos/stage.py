"""Everything a fault test needs: a site, its push server, a writer and a fleet of clients."""

from __future__ import annotations

import json
import queue
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.chaos.fleet import Fleet
from tests.chaos.history import Commit, History, Row
from tests.chaos.notes import Sent
from tests.live.processes import ROOT, Live, wait_until

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.chaos.site.settings"}
POLL = 0.05


class Writer:
    """The process of the site that writes; what it commits goes into the history."""

    def __init__(self, live: Live, history: History) -> None:
        self._history = history
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.writer"],
            env=live.environ,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, what: str, **arguments: Any) -> None:
        """Begin a command of tests/chaos/writer.py."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._process.stdin.flush()

    def wait(self, timeout: float = 300) -> Any:
        """Wait for the command's end, and return its answer."""
        answer = self._answers.get(timeout=timeout)
        assert answer is not None, "the writer has ended"
        return answer["done"]

    @property
    def is_done(self) -> bool:
        """Has the command ended? Nobody may have waited for it yet."""
        return not self._answers.empty()

    def do(self, what: str, **arguments: Any) -> Any:
        self.start(what, **arguments)
        return self.wait()

    def final(self) -> dict[int, Row]:
        """What the database holds now."""
        return {int(pk): Row(*row) for pk, row in self.do("final").items()}

    def stop(self) -> None:
        self._process.communicate()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            value = json.loads(line)
            if "commit" in value:
                pk, version, row, at, is_committed = value["commit"]
                state = None if row is None else Row(*row)
                self._history.commits.append(Commit(pk, version, state, at, is_committed))
            elif "sent" in value:
                self._history.sent.append(Sent(*value["sent"]))
            else:
                self._answers.put(value)
        self._answers.put(None)


class Stage:
    """One of everything, with rows in the database; use ``staged``."""

    def __init__(self, folder: Path, rows: int, groups: int) -> None:
        self.history = History()
        self._queries = folder / "queries"
        self.live = Live(folder, {**SETTINGS, "CHAOS_QUERIES": str(self._queries)})
        self.rows, self.groups = rows, groups

    def start(self) -> None:
        self.live.start()
        self.writer = Writer(self.live, self.history)
        self.writer.do("seed", rows=self.rows, groups=self.groups)
        self.fleet = Fleet(self.live.site_port, self.live.port, self.history)

    def stop(self) -> None:
        # From the last to the first, whatever becomes of one.
        with ExitStack() as ending:
            ending.callback(self.live.stop)
            if hasattr(self, "writer"):
                ending.callback(self.writer.stop)
            if hasattr(self, "fleet"):
                ending.callback(self.fleet.close)

    def committed(self) -> int:
        """How many writes were committed, the first rows included."""
        return sum(each.is_committed for each in list(self.history.commits))

    def wait_for_writes(self, count: int) -> None:
        wait_until(lambda: self.committed() >= count, f"{count} writes", 120)

    def write_through(
        self, fault: Callable[[], None], times: int, writes: int, rate: int, **more: Any
    ) -> None:
        """Let the site write, so many a second, and ``times`` times on the way do ``fault``.

        ``more`` are arguments of the writer's ``mix``.
        """
        before = self.committed()
        self.writer.start("mix", count=writes, rate=rate, **more)
        for number in range(1, times + 1):
            self.wait_for_writes(before + writes * number // (times + 1))
            assert not self.writer.is_done
            fault()
        self.writer.wait()

    def settle(self, timeout: float) -> float:
        """Wait until every client shows what the database holds; the seconds that took.

        Then check the whole history.
        """
        begin = time.monotonic()
        final = self.writer.final()
        while behind := self.fleet.behind(final):
            if time.monotonic() - begin > timeout:
                print(f"{behind} clients are behind; {self.fleet.ready()} are connected")
                self.history.check(final)
                raise AssertionError(f"{behind} clients are not connected after {timeout} s")
            threading.Event().wait(POLL)
        took = time.monotonic() - begin
        self.history.check(final)
        return took

    def queries(self) -> list[tuple[str, list[Any]]]:
        """The statements so far, with their parameters, of all processes but the writer."""
        lines = map(json.loads, self._queries.read_text().splitlines())
        return [(sql, params) for pid, sql, params in lines if pid != self.writer.pid]

    def sessions(self, count: int) -> list[str]:
        """The keys of so many new sessions, in which nobody is logged in."""
        code = (
            "from django.contrib.sessions.backends.db import SessionStore as Store\n"
            f"stores = [Store() for _ in range({count})]\n"
            "for number, store in enumerate(stores): store['name'] = number; store.create()\n"
            "print(' '.join(each.session_key for each in stores))"
        )
        return self.live.shell(code).split()

    def metric(self, name: str) -> float:
        """The sum of a metric of the push server over its labels."""
        text = requests.get(f"{self.live.notifier_url}/metrics", timeout=20).text
        lines = (each for each in text.splitlines() if each.startswith(name))
        return sum(float(each.rpartition(" ")[2]) for each in lines)


@contextmanager
def staged(folder: Path, *, rows: int, groups: int = 8) -> Iterator[Stage]:
    """A running stage with ``rows`` instances in ``groups`` groups."""
    raise_limit()
    stage = Stage(folder, rows, groups)
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()


def raise_limit() -> None:
    """Let this process, and those that it starts, have as many open files as may be."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def memory(pid: int) -> float:
    """The MiB that a process has in memory (VmRSS)."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """The most MiB that a process ever had in memory (VmHWM)."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(each for each in lines if each.startswith(name)).split()[1]) / 1024
