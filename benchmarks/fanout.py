"""One event to 1,000 clients: CPU for each delivery, CPU and memory of each connection."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from benchmarks.crowd import Crowd, crowd
from benchmarks.peers import Peer, bare, nchan, node, ours, python
from benchmarks.watching import cpu_seconds, resident

CLIENTS = 1000
FIRST = 50
"""Clients that come before the measuring: they pay for what is made once."""
EVENTS = 40
ROUNDS = 5
Server = Callable[[], AbstractContextManager[Peer]]
PEERS: list[Server] = [
    ours.running,
    node.running,
    nchan.running,
    bare.running,
    python.eventlet,
    python.uvicorn,
    python.channels,
]
COMPARED = 3
"""Of the peers, those after the first with which that is compared."""


@dataclass
class Measured:
    """Of one server, a figure for each round.

    µs of CPU a delivery, the same of the load client, seconds from publishing to the last
    client, µs of CPU a connection made, bytes of memory a connection.
    """

    peer: Peer
    crowd: Crowd
    deliveries: list[float] = field(default_factory=list)
    readings: list[float] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)
    connections: list[float] = field(default_factory=list)
    memories: list[float] = field(default_factory=list)

    def cpu(self) -> float:
        return (
            self.peer.seconds if isinstance(self.peer, bare.Floor) else cpu_seconds(self.peer.pids)
        )

    def connect(self, count: int) -> None:
        cpu, memory = self.cpu(), resident(self.peer.pids)
        self.crowd.connect(count)
        if self.peer.pids:
            self.connections.append((self.cpu() - cpu) / count * 1e6)
            self.memories.append((resident(self.peer.pids) - memory) / count)

    def round(self, count: int) -> None:
        before, reading = self.cpu(), self.crowd.seconds
        lasts, lost = [], self.crowd.lost
        for _ in range(EVENTS):
            # Whoever did not get one event gets none after it.
            began, here = time.time(), count - self.crowd.lost
            self.peer.publish()
            lasts.append(self.crowd.wait(here) - began)
        delivered = EVENTS * count - (self.crowd.lost - lost)
        self.deliveries.append((self.cpu() - before) / delivered * 1e6)
        self.readings.append((self.crowd.seconds - reading) / delivered * 1e6)
        self.lasts.append(statistics.median(lasts))

    def warm(self) -> None:
        """Forget a round that was to warm up."""
        self.deliveries.clear()
        self.readings.clear()
        self.lasts.clear()

    def told(self) -> str:
        cpu, last = statistics.median(self.deliveries), statistics.median(self.lasts)
        told = f"{cpu:.1f} µs of CPU a delivery, the last after {last * 1000:.1f} ms"
        if self.crowd.lost:
            told += f", {self.crowd.lost} events never"
        if not self.peer.pids:
            return told
        connection, memory = map(statistics.median, (self.connections, self.memories))
        return (
            f"{told}; {connection:.0f} µs of CPU and {memory / 1024:.1f} KiB of memory a connection"
        )

    def beside(self, other: Measured) -> str:
        """How many times as much as another: medians of the rounds' ratios."""
        pairs = {
            "CPU of a delivery": (self.deliveries, other.deliveries),
            "time to the last": (self.lasts, other.lasts),
            "CPU of a connection": (self.connections, other.connections),
            "memory of a connection": (self.memories, other.memories),
        }
        return ", ".join(
            f"{statistics.median(map(_ratio, own, others)):.2f} × the {what}"
            for what, (own, others) in pairs.items()
            if others
        )


def run(
    peers: Sequence[Server] = PEERS, clients: int = CLIENTS, rounds: int = ROUNDS
) -> list[Measured]:
    """All servers run at once, and are measured in turns."""
    with ExitStack() as stack:
        all_of_them = []
        for each in peers:
            peer = stack.enter_context(each())
            all_of_them.append(Measured(peer, stack.enter_context(crowd(peer))))
            all_of_them[-1].crowd.connect(FIRST)
        for _ in range(rounds):
            for each in all_of_them:
                each.connect((clients - FIRST) // rounds)
        gc.disable()
        for number in range(rounds + 1):
            for each in all_of_them:
                each.round(clients)
                if not number:
                    each.warm()
    return all_of_them


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    what = f"one event to {CLIENTS:,}"
    found = run()
    own, *others = found
    rows = [(f"{each.peer.name}: {what}", each.told()) for each in found]
    for each in others[:COMPARED]:
        rows.append((f"{own.peer.name} beside {each.peer.name}: {what}", own.beside(each)))
    # What sends fastest keeps it busiest.
    reading = min(statistics.median(each.readings) for each in found if each.readings)
    told = f"{reading:.1f} µs of its CPU an event: it can read {1e6 / reading:,.0f} a second"
    return [*rows, ("the load client, which reads them", told)]


def _ratio(own: float, other: float) -> float:
    # A round in which a peer's memory did not grow says nothing, and is none of the middle ones.
    return own / other if other else float("inf")
