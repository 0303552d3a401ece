"""What a change costs beside many open dependencies, of which one is affected; their memory."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.processes import Told, told
from benchmarks.site import running
from benchmarks.watching import children, cpu_seconds, resident
from tests.chaos.crowd import Crowd, Member
from tests.live.processes import Live, wait_until

FEW, MANY = 1_000, 100_000
A_PAGE = 100
"""Updates that each page has."""
ROUNDS = 5
SAVES = {"none": 2000}
"""In a round; of a kind that is not here, 60."""
KINDS = {
    "key": "by key",
    "field": "by a field",
    "q": "by a Q of several lookups",
    "none": "of a model that nobody watches",
}


@dataclass
class Server:
    """A push server with so many dependencies of one kind open, and who saves."""

    live: Live
    opening: Told
    member: Member | None = None
    memory: float = 0.0
    costs: list[float] = field(default_factory=list)

    def pids(self) -> list[int]:
        assert self.live.push is not None
        return [self.live.push.pid, *children(self.live.push.pid)]

    def open(self, crowd: Crowd, kind: str, count: int) -> None:
        pids = self.pids()[:1]
        before = resident(pids)
        for number in range(count // A_PAGE):
            token = self.opening.ask(f"page {kind} {number * A_PAGE} {A_PAGE}")
            member = crowd.join({"page": token})
            self.member = self.member or member
        self.memory = (resident(pids) - before) / count

    def round(self, kind: str) -> None:
        assert self.member is not None
        before, saves = cpu_seconds(self.pids()), SAVES.get(kind, 60)
        for number in range(saves):
            events = len(self.member.of("update"))
            self.opening.ask(f"save {kind}")
            if kind == "none" and number == saves - 1:
                # The event of what is saved now comes when all before it has been taken.
                self.opening.ask("save key")
            if kind != "none" or number == saves - 1:
                wait_until(lambda n=events: len(self.member.of("update")) > n, "the event", 60)
        self.costs.append((cpu_seconds(self.pids()) - before) / saves * 1e3)


@contextmanager
def server() -> Iterator[Server]:
    with ExitStack() as stack:
        live = stack.enter_context(running())
        command = [sys.executable, "-m", "benchmarks.opening"]
        yield Server(live, stack.enter_context(told(command, live.environ)))


def run(kind: str, few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> tuple[Server, Server]:
    """Two servers, with few dependencies and with many, in turns."""
    with ExitStack() as stack:
        servers = []
        for count in (few, many):
            one = stack.enter_context(server())
            crowd = Crowd(one.live.port, one.live.url)
            stack.callback(crowd.stop)
            one.open(crowd, kind, count)
            servers.append(one)
        for number in range(rounds + 1):
            for each in servers:
                each.round(kind)
                if not number:
                    # A round to warm up.
                    each.costs.clear()
    return servers[0], servers[1]


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    rows = []
    for kind, told_as in KINDS.items():
        few, many = run(kind)
        one, other = statistics.median(few.costs), statistics.median(many.costs)
        rows.append(
            (
                f"a change beside {MANY:,} open dependencies {told_as}, and beside {FEW:,}",
                f"{other:.2f} ms and {one:.2f} ms of CPU of push server and renderers, "
                f"{other / one:.2f} times as much; {many.memory:,.0f} bytes a dependency",
            )
        )
    return rows
