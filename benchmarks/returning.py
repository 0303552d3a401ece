"""5,000 clients back after a restart: CPU for each, beside what a first connection took."""

from __future__ import annotations

import statistics
from dataclasses import replace

import requests

from benchmarks.crowd import Crowd, crowd
from benchmarks.peers import Peer
from benchmarks.peers.ours import watching
from benchmarks.site import counted, running, saver
from benchmarks.watching import cpu_seconds
from tests.live.processes import Live

CLIENTS = 5000
ROUNDS = 3
AT_ONCE = 50
SAVES = 3
"""Events before the restart, so that there is something that they have had."""


def measure(clients: int = CLIENTS, rounds: int = ROUNDS) -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    found = [run(clients) for _ in range(rounds)]
    first, back = (statistics.median(each[place] for each in found) for place in (0, 1))
    ratio = statistics.median(again / once for once, again, _ in found)
    jobs = sum(each[2] for each in found)
    told = (
        f"{back:.0f} µs of CPU a client, {ratio:.2f} times the {first:.0f} µs of a first "
        f"connection; {jobs:.0f} jobs for the renderers, which alone have the database"
    )
    return [(f"{clients:,} clients back after a restart", told)]


def run(clients: int) -> tuple[float, float, float]:
    """µs of CPU of a first connection and of one that comes back, and jobs after the restart."""
    with running() as live, saver(live) as site, crowd(peer := _peer(live, site)) as those:
        first = _connect(live, those, clients)
        for _ in range(SAVES):
            site.save()
            those.wait(clients)
        health = requests.get(f"{live.notifier_url}/health", timeout=60).json()
        live.push.stop()
        live.start_push()
        auth = {**(peer.auth or {}), "since": health["position"]}
        with crowd(replace(peer, auth=auth)) as again:
            jobs = counted(live, "serverpush_job_seconds_count")
            back = _connect(live, again, clients)
            jobs = counted(live, "serverpush_job_seconds_count") - jobs
            # They are there: what is saved reaches all of them, and nothing else did.
            site.save()
            again.wait(clients)
            if again.lost:
                raise RuntimeError(f"{again.lost} clients that came back got no event")
        return first, back, jobs


def _peer(live: Live, site) -> Peer:
    return watching(live, "/bench/1/", [live.push.pid], site)


def _connect(live: Live, those: Crowd, clients: int) -> float:
    those.connect(50, at_once=AT_ONCE)
    before = cpu_seconds([live.push.pid])
    those.connect(clients - 50, at_once=AT_ONCE)
    return (cpu_seconds([live.push.pid]) - before) / (clients - 50) * 1e6


if __name__ == "__main__":
    for row in measure():
        print(*row, sep=": ")
