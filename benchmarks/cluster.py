"""Several push servers on one Redis: what a delivery costs with one, two and three, and a record.

``make bench-cluster``: writes the figures, and what follows from them, into the docs.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.crowd import Crowd, crowd
from benchmarks.peers import Peer, ours
from benchmarks.site import running, saver
from benchmarks.watching import cpu_seconds, machine, resident
from tests.cluster.redis import RedisServer
from tests.live.processes import Live, wait_until

COUNTS = (1, 2, 3)
CLIENTS = 3_000
SECONDS = 10.0
RECORDS = 5_000
USED = 0.6
"""Of a core, what may be in use."""
MOST = 10_000
"""Clients of one server: as many as were measured, and as SERVERPUSH_MAX_CONNECTIONS admits."""
SITES = ((10_000, 10), (100_000, 100), (1_000_000, 1_000))
"""Connections, and commits a second of models that somebody watches."""
EVENT_SECONDS = 10
"""Each client gets one event in so many seconds."""
PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "larger-sites.md"
PLACE = r"(<!-- {0}:begin -->\n).*?(<!-- {0}:end -->)"
# Each change by itself, as where many processes save now and then.
ADDING = """
import time
from serverpush import records
from serverpush.conf import config
from serverpush.protocol import Change
from serverpush.stream import Stream
stream = Stream(config().backend)
stream.open()
began = time.process_time()
for number in range({count}):
    stream.add(records.notice(str(number), [Change("project.book", number, "changed", 1.0)]))
print(time.process_time() - began)
"""


@dataclass(frozen=True)
class Deliveries:
    """So many servers: events a second to all clients together, CPU seconds of each server and
    of Redis, for how many seconds and events, and the servers' bytes of memory."""

    servers: int
    rate: float
    cpu: list[float]
    redis: float
    took: float
    events: int
    memory: int

    @property
    def each(self) -> float:
        """Microseconds of CPU for a delivery."""
        return sum(self.cpu) / self.events * 1e6


@dataclass(frozen=True)
class Records:
    """Microseconds of CPU for one record that concerns nobody: of a push server that reads it,
    of Redis with as many servers, and of the process that adds it."""

    servers: int
    server: float
    redis: float
    adding: float


class Several:
    """Push servers with a site; the first is the site's own."""

    def __init__(self, count: int, stack: ExitStack) -> None:
        redis = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory()))).start()
        stack.callback(redis.stop)
        self.redis = redis.pid
        site = stack.enter_context(running(LIVE_BACKEND=redis.url))
        self.servers = [site]
        for _ in range(count - 1):
            self.servers.append(stack.enter_context(Live(site.folder, dict(site.environ))))
            self.servers[-1].port = self.servers[-1].notifier_port = 0
            self.servers[-1].start_push()
            self.servers[-1].site_port = site.site_port
        self.site = site

    @property
    def pids(self) -> list[int]:
        return [each.push.pid for each in self.servers if each.push is not None]

    def head(self, live: Live) -> str:
        return str(requests.get(f"{live.notifier_url}/health", timeout=60).json()["position"])

    def wait(self) -> None:
        """Until all have read as far."""
        wait_until(lambda: len({self.head(each) for each in self.servers}) == 1, "all", 120)


def deliver(count: int, clients: int = CLIENTS, seconds: float = SECONDS) -> Deliveries:
    """One page, whose clients are spread over so many servers, is saved again and again."""
    with ExitStack() as stack:
        several = Several(count, stack)
        site = stack.enter_context(saver(several.site))
        crowds: list[Crowd] = []
        for live, pid in zip(several.servers, several.pids, strict=True):
            peer: Peer = ours.watching(live, "/bench/1/", [pid], site)
            crowds.append(stack.enter_context(crowd(peer)))
            crowds[-1].connect(clients // count, at_once=20)
        began = time.monotonic()
        before = [cpu_seconds([pid]) for pid in several.pids]
        redis = cpu_seconds([several.redis])
        saves = 0
        while time.monotonic() - began < seconds:
            site.save()
            saves += 1
            for each in crowds:
                each.wait(clients // count)
        took = time.monotonic() - began
        used = [cpu_seconds([pid]) - was for pid, was in zip(several.pids, before, strict=True)]
        events = saves * (clients // count) * count
        return Deliveries(
            count,
            events / took,
            used,
            cpu_seconds([several.redis]) - redis,
            took,
            events,
            resident(several.pids),
        )


def record(count: int, records: int = RECORDS) -> Records:
    """Changes of a model that nobody watches are added, one after the other."""
    with ExitStack() as stack:
        several = Several(count, stack)
        several.site.shell(ADDING.format(count=100))
        several.wait()
        before, redis = cpu_seconds(several.pids), cpu_seconds([several.redis])
        adding = float(several.site.shell(ADDING.format(count=records)))
        several.wait()
        server = (cpu_seconds(several.pids) - before) / count
        return Records(
            count,
            server / records * 1e6,
            (cpu_seconds([several.redis]) - redis) / records * 1e6,
            adding / records * 1e6,
        )


def measured(steps: list[Deliveries], costs: list[Records]) -> str:
    """The figures, as two tables."""
    lines = [
        f"Measured on {machine()}, with {CLIENTS:,} clients of one page in all:",
        "",
        "| push servers | deliveries a second | of a core, each | CPU of a delivery | Redis |",
        "|---|---|---|---|---|",
    ]
    for each in steps:
        shares = ", ".join(f"{used / each.took:.0%}" for used in each.cpu)
        redis = f"{each.redis / each.took:.1%} of a core"
        lines.append(
            f"| {each.servers} | {each.rate:,.0f} | {shares} | {each.each:.1f} µs | {redis} |"
        )
    lines += [
        "",
        "| push servers | CPU of each for a record | of Redis | of the process that adds it |",
        "|---|---|---|---|",
    ]
    for cost in costs:
        lines.append(
            f"| {cost.servers} | {cost.server:.0f} µs | {cost.redis:.0f} µs "
            f"| {cost.adding:.0f} µs |"
        )
    return "\n".join(lines)


def computed(steps: list[Deliveries], costs: list[Records]) -> str:
    """What sites of several sizes need, by these figures."""
    delivery, reading = max(each.each for each in steps), max(each.server for each in costs)
    first, last = costs[0], costs[-1]
    # What Redis takes for a record itself, and for each server that reads it.
    served = max(0.1, (last.redis - first.redis) / (last.servers - first.servers))
    taken = max(0.0, first.redis - served)
    lines = [
        "| connections | commits a second | servers, by connections | by deliveries "
        "| each server's core | Redis |",
        "|---|---|---|---|---|---|",
    ]
    for connections, commits in SITES:
        rate = connections / EVENT_SECONDS
        by_events = math.ceil(rate * delivery / 1e6 / USED)
        servers = max(by_events, math.ceil(connections / MOST))
        core = rate / servers * delivery / 1e6 + commits * reading / 1e6
        redis = commits * (taken + servers * served) / 1e6
        lines.append(
            f"| {connections:,} | {commits:,} | {math.ceil(connections / MOST)} | {by_events} "
            f"| {core:.0%}, {commits * reading / 1e6:.0%} of it for reading the log "
            f"| {redis:.1%} of a core |"
        )
    walls = [
        f"One server reads {_rounded(USED * 1e6 / reading):,} records a second, one by one, with "
        f"{USED:.0%} of its core, and does nothing else then.",
        f"Redis takes {taken:.0f} µs for a record, and {served:.1f} µs for each server that reads "
        f"it: with 100 servers {_rounded(USED * 1e6 / (taken + 100 * served)):,} records a second.",
    ]
    return "\n".join([*lines, "", *walls])


def _rounded(value: float) -> int:
    step = 10 ** max(0, int(math.log10(value)) - 1)
    return int(value / step) * step


def write(name: str, text: str) -> None:
    page = PAGE.read_text()
    place = re.compile(PLACE.format(name), re.DOTALL)
    PAGE.write_text(place.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page))


def main() -> None:
    steps, costs = [], []
    for count in COUNTS:
        steps.append(deliver(count))
        print(json.dumps(steps[-1].__dict__), flush=True)
        costs.append(record(count))
        print(json.dumps(costs[-1].__dict__), flush=True)
    write("measured", measured(steps, costs))
    write("computed", computed(steps, costs))
    print(f"written to {PAGE.relative_to(PAGE.parents[2])}")


if __name__ == "__main__":
    main()
