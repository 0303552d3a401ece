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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import requests

from benchmarks.crowd import Crowd, crowd
from benchmarks.peers import Peer, ours
from benchmarks.site import running, saver
from benchmarks.watching import cpu_seconds, machine, resident
from serverpush.server.cluster import PACE_SECONDS
from tests.cluster.redis import RedisServer
from tests.live.processes import Live, wait_until

COUNTS = (1, 2, 3)
CLIENTS = 3_000
SECONDS = 10.0
RECORDS = 5_000
ALONE, PAUSE = 1_000, 0.02
"""Records with so many seconds between two of them: each is read by itself."""
IDLE_SECONDS = 10.0
READERS = (3, 30)
"""Servers, as far as Redis sees any; with so many seconds between two records for each."""
READ_PAUSE, READ_SECONDS = 0.005, 10.0
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
# Each change in a record of its own, as where many processes save now and then.
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
    if {pause}:
        time.sleep({pause})
print(time.process_time() - began)
"""
# Threads that read as push servers do, while one adds; prints how many records and readings.
READING = """
import threading, time
from serverpush import records
from serverpush.conf import config
from serverpush.server.cluster import PACE_SECONDS
from serverpush.stream import Stream
until = time.monotonic() + {seconds}
readings = []
def read():
    stream = Stream(config().backend)
    after = stream.open().last
    while time.monotonic() < until:
        entries, _ = stream.read(after, 1.0)
        after = entries[-1][0] if entries else after
        readings.append(len(entries))
        time.sleep(PACE_SECONDS)
threads = [threading.Thread(target=read) for _ in range({readers})]
for each in threads:
    each.start()
stream, added = Stream(config().backend), 0
stream.open()
while time.monotonic() < until:
    stream.add(records.notice(str(added), []))
    added += 1
    time.sleep({pause})
for each in threads:
    each.join()
print(added, len(readings))
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
class Cost:
    """Microseconds of CPU for one record that concerns nobody: of a push server that reads it,
    and of the process that adds it."""

    server: float
    adding: float


@dataclass(frozen=True)
class Records:
    """What a record costs where it comes alone, and where many come."""

    alone: Cost
    many: Cost


@dataclass(frozen=True)
class Carried:
    """So many readers: records and readings a second, and what Redis takes of a core for them."""

    readers: int
    records: float
    readings: float
    share: float


Figures = TypeVar("Figures", Deliveries, Records, Carried)


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


def record() -> Records:
    """Changes of a model that nobody watches are added by one process, and read by one server."""
    with ExitStack() as stack:
        several = Several(1, stack)
        several.site.shell(ADDING.format(count=100, pause=0))
        several.wait()
        began, before = time.monotonic(), cpu_seconds(several.pids)
        time.sleep(IDLE_SECONDS)
        idle = (cpu_seconds(several.pids) - before) / (time.monotonic() - began)
        return Records(_cost(several, ALONE, PAUSE, idle), _cost(several, RECORDS, 0, idle))


def _cost(several: Several, records: int, pause: float, idle: float) -> Cost:
    """What so many records cost, beyond what the server uses when nothing comes."""
    began, before = time.monotonic(), cpu_seconds(several.pids)
    adding = float(several.site.shell(ADDING.format(count=records, pause=pause)))
    several.wait()
    used = cpu_seconds(several.pids) - before - idle * (time.monotonic() - began)
    return Cost(used / records * 1e6, adding / records * 1e6)


def carry(readers: int) -> Carried:
    """Records are added, and so many read them as push servers do."""
    with ExitStack() as stack:
        several = Several(1, stack)
        code = READING.format(readers=readers, seconds=READ_SECONDS, pause=READ_PAUSE)
        began, before = time.monotonic(), cpu_seconds([several.redis])
        records, readings = map(int, several.site.shell(code).split())
        took = time.monotonic() - began
        share = (cpu_seconds([several.redis]) - before) / took
        return Carried(readers, records / took, readings / took, share)


def measured(steps: list[Deliveries], cost: Records, carried: list[Carried]) -> str:
    """The figures, as three tables."""
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
        "| a record that concerns nobody | CPU of a push server | of the process that adds it |",
        "|---|---|---|",
    ]
    for what, each_of in (
        (f"alone, {PAUSE * 1e3:.0f} ms after the one before", cost.alone),
        ("where many come", cost.many),
    ):
        lines.append(f"| {what} | {each_of.server:,.0f} µs | {each_of.adding:,.0f} µs |")
    lines += [
        "",
        "| readers of Redis | records a second | readings a second | Redis |",
        "|---|---|---|---|",
    ]
    for some in carried:
        lines.append(
            f"| {some.readers} | {some.records:,.0f} | {some.readings:,.0f} "
            f"| {some.share:.1%} of a core |"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class Price:
    """Seconds of CPU for a record, and for reading, however many records that brings."""

    record: float
    reading: float

    def share(self, records: float, readers: int = 1) -> float:
        """What so many records a second, for so many readers, take of a core."""
        return records * self.record + readers * min(records, 1 / PACE_SECONDS) * self.reading


def of_server(cost: Records) -> Price:
    alone, many = cost.alone.server / 1e6, cost.many.server / 1e6
    return Price(record=many, reading=max(0.0, alone - many))


def of_redis(carried: list[Carried]) -> Price:
    """From Redis's share with few readers and with many, of about as many records a second."""
    few, many = carried
    reading = (many.share - few.share) / (many.readings - few.readings)
    return Price(max(0.0, few.share - few.readings * reading) / few.records, reading)


def computed(steps: list[Deliveries], cost: Records, carried: list[Carried]) -> str:
    """What sites of several sizes need, by these figures."""
    delivery = max(each.each for each in steps)
    server, redis = of_server(cost), of_redis(carried)
    lines = [
        "| connections | commits a second | servers, by connections | by deliveries "
        "| each server's core | Redis |",
        "|---|---|---|---|---|---|",
    ]
    for connections, commits in SITES:
        rate = connections / EVENT_SECONDS
        by_events = math.ceil(rate * delivery / 1e6 / USED)
        servers = max(by_events, math.ceil(connections / MOST))
        core = rate / servers * delivery / 1e6 + server.share(commits)
        lines.append(
            f"| {connections:,} | {commits:,} | {math.ceil(connections / MOST)} | {by_events} "
            f"| {core:.0%}, {server.share(commits):.0%} of it for reading the log "
            f"| {redis.share(commits, servers):.1%} of a core |"
        )
    walls = [
        f"With {USED:.0%} of its core one server reads "
        f"{_rounded((USED - server.reading / PACE_SECONDS) / server.record):,} records a second, "
        "and does nothing else then.",
        f"Redis takes {redis.record * 1e6:.0f} µs for a record, and {redis.reading * 1e6:.0f} µs "
        f"each time that a server reads. {_rounded(USED * PACE_SECONDS / redis.reading):,} servers "
        f"that read {1 / PACE_SECONDS:.0f} times a second take {USED:.0%} of its core.",
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
    steps = [_shown(deliver(count)) for count in COUNTS]
    cost = _shown(record())
    carried = [_shown(carry(readers)) for readers in READERS]
    write("measured", measured(steps, cost, carried))
    write("computed", computed(steps, cost, carried))
    print(f"written to {PAGE.relative_to(PAGE.parents[2])}")


def _shown(found: Figures) -> Figures:
    print(json.dumps(asdict(found)), flush=True)
    return found


if __name__ == "__main__":
    main()
