"""Growth: more and more clients of one page; what each step costs, and where it ends."""

from __future__ import annotations

import math
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crowd import Crowd, crowd
from benchmarks.peers import Peer, ours
from benchmarks.watching import cpu_seconds, machine, resident
from serverpush.server.transport.limits import Limits
from tests.charts import BLUE, GREEN, GREY, Panel, chart

STEPS = (100, 300, 1_000, 3_000, 10_000)
SECONDS = 10.0
SAVES = 100
"""For so long, and so often, each step's clients are sent one event after the other."""
IDLE_SECONDS = 4 * Limits().ping_interval
"""For which all of them are left alone, but for pings."""
CHART = Path(__file__).parents[1] / "docs" / "images" / "growth.svg"
CAPACITY = Path(__file__).parents[1] / "docs" / "explanation" / "capacity.md"
PLACE = re.compile(r"(<!-- capacity:begin -->\n).*?(<!-- capacity:end -->)", re.DOTALL)
USED = 0.6
"""Of a core, what may be in use: the rest is for bursts, connections and garbage."""
RATES = {"one a minute": 1 / 60, "one in ten seconds": 0.1, "one a second": 1.0}
KNEE = 1.25
"""Where no more clients get so many times as many events in the same time, growth has ended."""


@dataclass(frozen=True)
class Step:
    """So many clients: events a second to all of them together, the shares of a core that the
    push server and the load client took, memory in bytes, and seconds to the last client, from
    before each save."""

    clients: int
    rate: float
    cpu: float
    client: float
    memory: int
    lasts: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.lasts) * 1000

    @property
    def p99(self) -> float:
        return sorted(self.lasts)[int(len(self.lasts) * 0.99)] * 1000


def run(
    steps: tuple[int, ...] = STEPS, seconds: float = SECONDS, idle: float = IDLE_SECONDS
) -> tuple[list[Step], float]:
    """One push server, to which more and more clients come.

    Returns the steps, and the seconds of CPU that one ping and its pong cost.
    """
    found = []
    with ours.running() as peer, crowd(peer) as those:
        here = 0
        for clients in steps:
            those.connect(clients - here, at_once=20)
            here = clients
            found.append(_step(peer, those, clients, seconds))
        before = cpu_seconds(peer.pids)
        time.sleep(idle)
        pings = here * idle / Limits().ping_interval
        return found, (cpu_seconds(peer.pids) - before) / pings


def _step(peer: Peer, those: Crowd, clients: int, seconds: float) -> Step:
    lasts: list[float] = []
    began, cpu = time.monotonic(), cpu_seconds(peer.pids)
    client, lost = those.seconds, those.lost
    while time.monotonic() - began < seconds or len(lasts) < SAVES:
        saved = time.time()
        peer.publish()
        lasts.append(those.wait(clients) - saved)
    took = time.monotonic() - began
    events = len(lasts) * clients - (those.lost - lost)
    return Step(
        clients,
        events / took,
        (cpu_seconds(peer.pids) - cpu) / took,
        (those.seconds - client) / took,
        resident(peer.pids),
        lasts,
    )


def knee(steps: list[Step]) -> int | None:
    """The clients at which events a second stop growing with them, if they do."""
    for number, each in enumerate(steps[:-1], start=1):
        # One step may be slow by chance: none of those after it is faster.
        if all(later.rate < KNEE * each.rate for later in steps[number:]):
            return each.clients
    return None


def draw(steps: list[Step]) -> None:
    """Write the curves into the docs."""
    first, last = (math.log(steps[place].clients) for place in (0, -1))
    places = [(math.log(each.clients) - first) / (last - first) for each in steps]
    speed = Panel(
        "events a second, in thousands", [("events", BLUE, [s.rate / 1e3 for s in steps])]
    )
    rest = Panel(
        "milliseconds to the last client; memory in MB",
        [
            ("p99, ms", GREY, [each.p99 for each in steps]),
            ("median, ms", GREEN, [each.median for each in steps]),
            ("memory, MB", BLUE, [each.memory / 1e6 for each in steps]),
        ],
    )
    marks = [f"{each.clients:,}" for each in steps]
    title = "One page, one event after the other: by clients"
    CHART.write_text(chart(title, places, (speed, rest), marks))


def write(steps: list[Step], ping: float) -> None:
    """Write into the docs what follows for one core and for memory."""
    few, many = steps[0], steps[-1]
    each = (many.memory - few.memory) / (many.clients - few.clients)
    delivery = many.cpu / many.rate
    pinging = ping / Limits().ping_interval
    lines = [
        f"A delivery took {delivery * 1e6:.1f} µs of CPU, a ping with its pong {ping * 1e6:.0f} µs "
        f"each {Limits().ping_interval:.0f} seconds, a connection {each / 1024:.1f} KiB, and the "
        f"push server without clients {(few.memory - few.clients * each) / 1e6:.0f} MB.",
        "",
        "| events that each client gets | clients, by CPU | their memory |",
        "|---|---|---|",
    ]
    for told, rate in RATES.items():
        clients = USED / (delivery * rate + pinging)
        memory = few.memory + (clients - few.clients) * each
        lines.append(f"| {told} | {_rounded(clients):,} | {memory / 1e6:,.0f} MB |")
    text = CAPACITY.read_text()
    table = f"\n{machine()}:\n\n" + "\n".join(lines) + "\n\n"
    CAPACITY.write_text(PLACE.sub(lambda found: found[1] + table + found[2], text))


def _rounded(value: float) -> int:
    """Two digits are all that this is worth."""
    step = 10 ** max(0, int(math.log10(value)) - 1)
    return int(value / step) * step


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    steps, ping = run()
    draw(steps)
    write(steps, ping)
    rows = [
        (
            f"{each.clients:,} clients, one event after the other",
            f"{each.rate:,.0f} events a second by {each.cpu:.0%} of a core, the load client "
            f"{each.client:.0%}; to the last client median {each.median:.0f} ms, p99 "
            f"{each.p99:.0f} ms; {each.memory / 1e6:.0f} MB",
        )
        for each in steps
    ]
    found = knee(steps)
    told = f"{found:,} clients" if found else f"not reached by {steps[-1].clients:,} clients"
    return [
        *rows,
        (f"the knee, beyond which no step has {KNEE} times as many events a second", told),
        (
            f"{steps[-1].clients:,} clients to which nothing is sent",
            f"{ping * 1e6:.0f} µs of CPU for each ping and its pong",
        ),
    ]
