"""A site with a small and a big page, others who watch the small one, and who attacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.chaos.reporter import Reporter
from tests.chaos.watchers import Watchers
from tests.live.clients import browse
from tests.live.processes import ROOT, Live

WATCHERS = 5
LOG_ENTRIES = 11_000


class Arena:
    """Everything that the tests of hostile clients need."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.pid = live.push.pid
        self._key = live.manage("serverpush_key").stdout.strip()
        loaded = time.time()
        self.small, self.big = (
            browse(f"{live.url}/{name}/")[1]["page"] for name in ("small", "big")
        )
        database = live.environ["LIVE_DATABASE"]
        self.watchers = Watchers(live.port, live.url, self.small, loaded, WATCHERS, database)

    def fill_log(self) -> None:
        """Nobody watches these: the log has grown before memory is looked at."""
        reporter = self.reporter()
        reporter.change(*range(1000, 1000 + LOG_ENTRIES))
        reporter.close()

    def reporter(self) -> Reporter:
        return Reporter(self.live.notifier_port, self._key)

    def delivered(self) -> int:
        """Events that the push server has given to connections so far."""
        metrics = requests.get(f"{self.live.notifier_url}/metrics", timeout=20).text
        found = re.search(r"^serverpush_deliveries_total (\S+)$", metrics, re.M)
        assert found, metrics
        return int(float(found[1]))

    @contextmanager
    def client(self, kind: str, token: str) -> Iterator[dict[str, Any]]:
        """A client of tests/chaos/hostile.py; afterwards it has told what it saw."""
        command = [sys.executable, "-m", "tests.chaos.hostile", kind, str(self.live.port), token]
        seen: dict[str, Any] = {}
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield seen
            told, _ = process.communicate("end\n", timeout=60)
            assert process.returncode == 0, f"{kind} ended with {process.returncode}"
            seen.update(json.loads(told))
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    with Live(folder, {"LIVE_URLS": "tests.chaos.views_hostile", "LIVE_RENDERERS": "2"}) as live:
        live.start()
        live.shell(
            "from tests.project.models import Author\n"
            "Author.objects.bulk_create(Author(pk=pk, name='version-0.') for pk in (1, 2))"
        )
        ready = Arena(live)
        ready.fill_log()
        try:
            yield ready
        finally:
            ready.watchers.close()
