"""CPU for each delivery: one change, 1,000 WebSocket clients that watch it."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.site import cpu_seconds, running, saver
from tests.live.clients import browse
from tests.live.processes import Live

CLIENTS = 1000
EVENTS = 40
ROUNDS = 7


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    with running() as live, saver(live) as site:
        assert live.push is not None
        before = cpu_seconds(live.push.pid)
        load = _join(live)
        joining = cpu_seconds(live.push.pid) - before
        rounds = []
        for _ in range(ROUNDS):
            before = cpu_seconds(live.push.pid)
            for _ in range(EVENTS):
                site.save()
                _wait(load, CLIENTS)
            rounds.append((cpu_seconds(live.push.pid) - before) / (EVENTS * CLIENTS) * 1e6)
        load.communicate()
    return [
        (
            f"push server's CPU for each delivery, {CLIENTS:,} WebSocket clients, one field map",
            f"median {statistics.median(rounds):.1f} µs "
            f"({min(rounds):.1f} to {max(rounds):.1f} in {ROUNDS} rounds of {EVENTS} events)",
        ),
        (
            "push server's CPU for each connection made, joining included",
            f"{joining / CLIENTS * 1e6:.0f} µs",
        ),
    ]


def _join(live: Live) -> subprocess.Popen[str]:
    _, record = browse(f"{live.url}/bench/1/")
    load = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", str(live.port), str(CLIENTS), record["page"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert load.stdout is not None
    assert load.stdout.readline() == "joined\n"
    return load


def _wait(load: subprocess.Popen[str], count: int) -> None:
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(f"{count}\n")
    load.stdin.flush()
    assert load.stdout.readline() == "done\n"
