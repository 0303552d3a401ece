"""What the site pays: CPU of a save, and of a request without updates and with three."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.processes import Told, told
from benchmarks.site import running
from tests.live.clients import page_record

ROUNDS = 60
COUNT = 200
BOOKS = 100
NOBODY = 1
"""A port at which nobody listens."""


class Site:
    """A process of a site, see costs_process.py."""

    def __init__(self, process: Told) -> None:
        self._process = process

    def costs(self, what: str, count: int = COUNT, rounds: int = ROUNDS) -> tuple[float, ...]:
        """µs of CPU: without django-serverpush, with it, and of the thread that reports."""
        return tuple(
            float(each) * 1e6 for each in self._process.ask(f"{what} {count} {rounds}").split()
        )

    def token_size(self, books: int) -> int:
        """Bytes of the token of the page with three updates, one of which lists so many books."""
        return len(page_record(json.loads(self._process.ask(f"page {books}")))["page"])


@contextmanager
def site(port: int) -> Iterator[Site]:
    """A site's process with a push server at a port, or with none there."""
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings_costs",
        "BENCH_PORT": str(port),
    }
    with told([sys.executable, "-m", "benchmarks.costs_process"], environ) as process:
        yield Site(process)


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    with running() as live, ExitStack() as stack:
        up, down = (stack.enter_context(site(port)) for port in (live.notifier_port, NOBODY))
        for each in (up, down):
            for what in ("save", "plain", "three"):
                each.costs(what, rounds=2)
        without, ours, trying = down.costs("save", rounds=15)
        # By the time, not by the saves: for a second of each round it tries to connect.
        tries = f"; the thread that reports tries to connect, some {trying * COUNT / 1e4:.1f} %"
        return [
            ("a save, the push server up", _told(*up.costs("save"))),
            ("a save, the push server down", _told(without, ours, 0) + f"{tries} of a core"),
            ("a request for a page without updates", _told(*up.costs("plain"))),
            ("a request for a page with three updates", _told(*up.costs("three"))),
            ("the token of that page", f"{up.token_size(0)} bytes"),
            (f"the same where it lists {BOOKS} books", f"{up.token_size(BOOKS)} bytes"),
        ]


def _told(without: float, ours: float, reporting: float) -> str:
    told = f"{ours - without:+.1f} µs of CPU, beside {without:.0f} µs without"
    if reporting >= 1:
        told += f"; {reporting:.0f} µs of the thread that reports"
    return told
