"""A soak: a warm-up, a quiet moment, the crowd, another quiet moment."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.reporter import Reporter
from tests.live.processes import Live

from .clients import AUTHORS, USERS, Crowd
from .watch import Sample, megabytes, problems, sample

SEED = f"""
from django.contrib.auth.models import User
from tests.project.models import Author
Author.objects.bulk_create(Author(pk=pk, name="new") for pk in range(1, {AUTHORS} + 1))
for number in range(1, {USERS} + 1):
    User.objects.create_user(f"user{{number}}", password="password")
"""


@dataclass(frozen=True)
class Plan:
    """Seconds of each part; ``quiet`` is for clients that vanished to be noticed."""

    clients: int
    warm_up: float
    seconds: float
    quiet: float
    stay: float
    every: float
    batches: int = 0

    @property
    def total(self) -> float:
        return self.warm_up + self.seconds + 2 * self.quiet


@dataclass
class Outcome:
    """What was seen."""

    plan: Plan
    samples: list[Sample] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    before: Sample | None = None
    after: Sample | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        assert self.before is not None
        assert self.after is not None
        return [*problems(self.before, self.after), *self.faults]

    def figures(self) -> dict[str, str]:
        """Name and value, with the units."""
        assert self.before is not None
        assert self.after is not None
        names = ("lives", "events", "refused", "saves", "messages")
        told = {name: f"{self.counted[name]:,}" for name in names}
        one, other = self.before.push, self.after.push
        told["push server"] = f"{megabytes(one.memory)} → {megabytes(other.memory)}"
        told["its open files"] = f"{one.files} → {other.files}"
        for number, pid in enumerate(sorted(self.before.renderers), 1):
            memory = [megabytes(self.before.renderers[pid].memory), "gone"]
            if pid in self.after.renderers:
                memory[1] = megabytes(self.after.renderers[pid].memory)
            told[f"renderer {number}"] = " → ".join(memory)
        return told


class Soak:
    """One run, in a folder of its own; ``tell`` gets a line of progress now and then."""

    def __init__(self, folder: Path, plan: Plan, tell: Callable[[str], None]) -> None:
        self.plan, self._tell = plan, tell
        self.live = Live(folder, {"DJANGO_SETTINGS_MODULE": "tests.chaos.soak.settings"})
        self.outcome = Outcome(plan)

    def run(self) -> Outcome:
        try:
            self.live.migrate()
            self.live.shell(SEED)
            self.live.start_push()
            self.live.start_site()
            self._fill(self.plan.batches)
            asyncio.run(self._run())
        finally:
            self.live.stop()
        for process in (self.live.push, self.live.site):
            assert process is not None
            if "Traceback" in process.output:
                self.outcome.faults.append(f"a traceback in the log:\n{process.output[-3000:]}")
        return self.outcome

    def _fill(self, batches: int) -> None:
        """Let the push server remember as many bodies as it ever does, before it is measured."""
        port = Reporter(self.live.notifier_port, self.live.manage("serverpush_key").stdout.strip())
        for number in range(batches):
            port.post({"changes": [], "batch": f"soak {number}"})
        port.close()

    async def _run(self) -> None:
        plan = self.plan
        self._started = time.monotonic()
        self._crowd = Crowd(
            self.live,
            plan.clients,
            plan.stay,
            vanish=plan.quiet >= 60,
            counted=self.outcome.counted,
        )
        watching = asyncio.create_task(self._watch())
        try:
            await self._crowd.run(plan.warm_up)
            await asyncio.sleep(plan.quiet)
            self.outcome.before = self._sample()
            await self._crowd.run(plan.seconds)
            await asyncio.sleep(plan.quiet)
            self.outcome.after = self._sample()
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            each, counted = self._sample(), self.outcome.counted
            self.outcome.samples.append(each)
            self._tell(
                f"{each.at:.0f} of {self.plan.total:.0f} s: {each.clients} clients,"
                f" {counted['lives']:,} lives, {counted['events']:,} events,"
                f" push server {megabytes(each.push.memory)}, {each.push.files} files"
            )
            await asyncio.sleep(self.plan.every)

    def _sample(self) -> Sample:
        assert self.live.push is not None
        return sample(
            time.monotonic() - self._started,
            self._crowd.connected,
            self.live.push.pid,
            self.live.notifier_port,
        )
