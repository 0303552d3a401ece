"""What the site pays: CPU of a save, and of a request without updates and with three."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.processes import Told, told
from benchmarks.site import running

ROUNDS = 15
SAVES = 1000
REQUESTS = 1000
NOBODY = 1
"""A port at which nobody listens."""


class Site:
    """A process of a site, see costs_process.py."""

    def __init__(self, process: Told) -> None:
        self._process = process

    def does(self, what: str, count: int) -> tuple[float, float]:
        """µs of CPU for each: of the thread that does it, and of the whole process."""
        own, all_threads = map(float, self._process.ask(f"{what} {count}").split())
        return own * 1e6, all_threads * 1e6


@contextmanager
def site(port: int | None) -> Iterator[Site]:
    """A site's process: without django-serverpush, or with a push server at a port."""
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings_costs",
        "BENCH_WITH": "0" if port is None else "1",
        "BENCH_PORT": str(port or NOBODY),
    }
    with told([sys.executable, "-m", "benchmarks.costs_process"], environ) as process:
        yield Site(process)


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    with running() as live, ExitStack() as stack:
        without, up, down = (
            stack.enter_context(site(port)) for port in (None, live.notifier_port, NOBODY)
        )
        for each in (without, up, down):
            for what in ("save", "plain", "three"):
                each.does(what, 200)
        return [
            _row("a save, the push server up", "save", SAVES, without, up),
            _row("a save, the push server down", "save", SAVES, without, down),
            _row("a request for a page without updates", "plain", REQUESTS, without, up),
            _row("a request for a page with three updates", "three", REQUESTS, without, up),
        ]


def _row(told: str, what: str, count: int, without: Site, site: Site) -> tuple[str, str]:
    """In turns, so that both have the same good and bad moments."""
    pairs = [(without.does(what, count), site.does(what, count)) for _ in range(ROUNDS)]
    more, in_all = (
        statistics.median(own[place] - other[place] for other, own in pairs) for place in (0, 1)
    )
    alone = statistics.median(other[0] for other, _ in pairs)
    return told, (
        f"{more:+.1f} µs of CPU, beside {alone:.0f} µs without; {in_all:+.1f} µs with the thread "
        "that reports"
    )


if __name__ == "__main__":
    for row in measure():
        print(*row, sep=": ")
