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
    with running() as live, saver(live) as site:
        assert live.push is not None
        peer = watching(live, "/bench/1/", [live.push.pid], site)
        with crowd(peer) as those:
            first = _connect(live, those, clients)
            # So that there is something that they have had.
            peer.publish()
            those.wait(clients)
            position = requests.get(f"{live.notifier_url}/health", timeout=60).json()["position"]
            live.push.stop()
        live.start_push()
        back = replace(peer, auth={**(peer.auth or {}), "since": position})
        with crowd(back) as those:
            jobs = counted(live, "serverpush_job_seconds_count")
            again = _connect(live, those, clients)
            jobs = counted(live, "serverpush_job_seconds_count") - jobs
            _reach(peer, those, clients)
        return first, again, jobs


def _connect(live: Live, those: Crowd, clients: int) -> float:
    assert live.push is not None
    # The first ones pay for what is made once.
    those.connect(50, at_once=AT_ONCE)
    before = cpu_seconds([live.push.pid])
    those.connect(clients - 50, at_once=AT_ONCE)
    return (cpu_seconds([live.push.pid]) - before) / (clients - 50) * 1e6


def _reach(peer: Peer, those: Crowd, clients: int) -> None:
    """What is saved now reaches all of them; raises where it does not."""
    peer.publish()
    those.wait(clients)
    if those.lost:
        raise RuntimeError(f"{those.lost} of {clients} clients that came back got no event")
