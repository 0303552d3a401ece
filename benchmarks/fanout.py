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


@dataclass
class Measured:
    """Of one server: µs of CPU a delivery in each round, seconds from publishing to the last
    client, µs of CPU a connection made, bytes of memory a connection."""

    peer: Peer
    crowd: Crowd
    deliveries: list[float] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)
    connection: float = 0.0
    memory: float = 0.0

    def cpu(self) -> float:
        return (
            self.peer.seconds if isinstance(self.peer, bare.Floor) else cpu_seconds(self.peer.pids)
        )

    def connect(self, count: int) -> None:
        # The first ones pay for what is made once.
        self.crowd.connect(50)
        cpu, memory = self.cpu(), resident(self.peer.pids)
        self.crowd.connect(count - 50)
        self.connection = (self.cpu() - cpu) / (count - 50) * 1e6
        self.memory = (resident(self.peer.pids) - memory) / (count - 50)

    def told(self) -> str:
        cpu, last = statistics.median(self.deliveries), statistics.median(self.lasts)
        told = f"{cpu:.1f} µs of CPU a delivery, the last after {last * 1000:.1f} ms"
        if self.crowd.lost:
            told += f", {self.crowd.lost} events never"
        if not self.peer.pids:
            return told
        memory = f"{self.memory / 1024:.1f} KiB of memory a connection"
        return f"{told}; {self.connection:.0f} µs of CPU and {memory}"

    def round(self, count: int) -> None:
        before = self.cpu()
        for _ in range(EVENTS):
            began, lost = time.time(), self.crowd.lost
            self.peer.publish()
            self.lasts.append(self.crowd.wait(count - lost) - began)
        self.deliveries.append((self.cpu() - before) / (EVENTS * count) * 1e6)


def run(
    peers: Sequence[Server] = PEERS, clients: int = CLIENTS, rounds: int = ROUNDS
) -> list[Measured]:
    """All servers run at once, and are measured in turns."""
    with ExitStack() as stack:
        all_of_them = []
        for each in peers:
            peer = stack.enter_context(each())
            all_of_them.append(Measured(peer, stack.enter_context(crowd(peer))))
        for each in all_of_them:
            each.connect(clients)
        gc.disable()
        for number in range(rounds + 1):
            for each in all_of_them:
                each.round(clients)
            if not number:
                # A round to warm up.
                for each in all_of_them:
                    each.deliveries.clear()
                    each.lasts.clear()
    return all_of_them


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    return [(f"{each.peer.name}: one event to {CLIENTS:,}", each.told()) for each in run()]
