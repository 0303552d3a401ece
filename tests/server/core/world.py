"""A world for the core: rows, renderers and clients, all values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from serverpush.jobs import Job, MatchJob, RenderJob
from serverpush.protocol import Change, Condition, Dependency, ModelInfo, Page, Serializer, Visitor
from serverpush.results import EVERYTHING, MatchResult, RenderResult
from serverpush.server.core.actions import Action, Refresh, Send
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log

EVERY = ("added", "changed", "removed")
FIELDS = Serializer("fields", reads_request=False)
FOLLOWING = Serializer("view", "shop.views:following", reads_object=False)
MODELS = {
    "shop.book": ModelInfo("shop.book", ("shop.book",), "integer"),
    "shop.pen": ModelInfo("shop.pen", ("shop.pen",), "integer"),
}

Row = dict[str, Any]


def where(**fields: Any) -> Condition:
    """A condition of plain equalities on books."""
    return Condition("shop.book", tuple(sorted(fields.items())))


def asking(**fields: Any) -> Condition:
    """A condition that only the database decides: here, equality all the same."""
    return Condition("shop.book", (), json.dumps(fields))


def guarded(**fields: Any) -> Condition:
    """As ``asking``, of which one equality is known that has to hold."""
    name = min(fields)
    return Condition("shop.book", (), json.dumps(fields), ((name, fields[name]),))


def meets(row: Row, condition: Condition) -> bool:
    wanted = json.loads(condition.query) if condition.query else dict(condition.equal)
    return all(row.get(name) == value for name, value in wanted.items())


def dependency(condition: Condition, **options: Any) -> Dependency:
    return Dependency(
        **({"name": "book", "serializer": FIELDS, "on": EVERY} | options), condition=condition
    )


@dataclass
class World:
    """The database's rows, the log's clock, and what was sent to each client."""

    rows: dict[int, Row] = field(default_factory=dict)
    # The server's clock, which never goes back; the site's may be behind it.
    now: float = 1000.0
    behind: float = 0.0
    size: int = 1000
    shelf: int | None = None
    sent: dict[str, list[Send | Refresh]] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    renders: dict[str, RenderResult] = field(default_factory=dict)
    # What renderings read of their requests, by the update's name.
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = Log(epoch="first", now=self.now, size=self.size, seconds=300)
        self.dispatch = Dispatch(self.log, MODELS, margin=0)
        self.tick()

    def tick(self, seconds: float = 0.01) -> None:
        self.now += seconds

    @property
    def clock(self) -> float:
        """What the site's clock shows."""
        return self.now - self.behind

    # The site

    def page(self, *conditions: Condition, **options: Any) -> Page:
        """Render a page now: its request comes in, it records its keys, it is done."""
        self.tick()
        dependencies = tuple(
            dependency(each, keys=self.keys(each), **options) for each in conditions
        )
        time = self.clock
        self.tick()
        return Page("/", time=time, recorded=self.clock, dependencies=dependencies)

    def keys(self, condition: Condition) -> tuple[int, ...] | None:
        if condition.is_any or condition.key is not None:
            return None
        return tuple(pk for pk, row in self.rows.items() if meets(row, condition))

    def save(self, pk: int, **fields: Any) -> None:
        """Create or change a row, and report it at once."""
        action = "changed" if pk in self.rows else "created"
        self.rows[pk] = {**self.rows.get(pk, {"pk": pk}), **fields}
        self.report(pk, action)

    def delete(self, pk: int) -> None:
        del self.rows[pk]
        self.report(pk, "deleted")

    def report(self, pk: int, action: Any, at: float = 0) -> None:
        self.tick()
        self.dispatch.changed(Change("shop.book", pk, action, at or self.clock), self.now)

    # The clients

    def connect(
        self, id: str, page: Page, since: Any = None, visitor: Visitor | None = None
    ) -> bool:
        position = self.log.at(page.time) if since is None else since
        live, actions = self.dispatch.connect(
            id, page, visitor or Visitor(), position, returns=since is not None
        )
        self.do(actions)
        return live

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            for id in getattr(action, "connections", ()):
                self.sent.setdefault(id, []).append(action)
            if isinstance(action, Refresh):
                self.dispatch.untell(action.connections)

    def events(self, id: str) -> list[tuple[str, int, Any]]:
        """What a client got: action, key and payload of each event."""
        return [
            (each.meta["action"], each.meta["pk"], json.loads(each.payload))
            for each in self.sent.get(id, [])
            if isinstance(each, Send)
        ]

    def refreshes(self, id: str) -> list[str]:
        return [each.reason for each in self.sent.get(id, []) if isinstance(each, Refresh)]

    # The renderers

    def work(self) -> None:
        """Do every job there is, one after another."""
        while (found := self.dispatch.next_job()) is not None:
            ticket, job = found
            self.jobs.append(job)
            self.do(self.dispatch.answer(ticket, self.execute(job), self.now))

    def execute(self, job: Job) -> MatchResult | RenderResult:
        if isinstance(job, MatchJob):
            row = self.rows.get(job.pk)  # type: ignore[call-overload]
            if row is None:
                return MatchResult(None)
            met = [
                number
                for number, query in job.conditions
                if meets(row, Condition("shop.book", (), query))
            ]
            return MatchResult({name: row.get(name) for name in job.fields}, frozenset(met))
        assert isinstance(job, RenderJob)
        reads = self.reads.get(job.name, EVERYTHING if job.serializer.reads_request else ())
        return replace(self.render(job), reads=tuple(sorted(reads)))

    def render(self, job: RenderJob) -> RenderResult:
        if job.serializer == FOLLOWING:
            return self.follow(job)
        if job.name in self.renders:
            return self.renders[job.name]
        row = self.rows.get(job.pk) if job.present else {"pk": job.pk}  # type: ignore[call-overload]
        if row is None:
            return RenderResult("gone")
        return RenderResult("done", json.dumps(row))

    # A view that shows row 1, the row that row 1's shelf names, and perhaps a shelf's rows

    def shown(self) -> list[Any]:
        first = self.rows.get(1)
        shown = [first, self.rows.get(first["shelf"]) if first else None]
        if self.shelf is None:
            return shown
        return [*shown, [row for _, row in sorted(self.rows.items()) if row["shelf"] == self.shelf]]

    def followed(self) -> tuple[Dependency, ...]:
        """What the view depends on: another row when row 1 names another."""
        keys = {1} | ({self.rows[1]["shelf"]} if 1 in self.rows else set())
        conditions = [where(pk=key) for key in sorted(keys)]
        if self.shelf is not None:
            conditions.append(asking(shelf=self.shelf))
        return tuple(
            dependency(each, name="page", serializer=FOLLOWING, keys=self.keys(each))
            for each in conditions
        )

    def follow(self, job: RenderJob) -> RenderResult:
        self.tick()
        time = self.clock
        payload = json.dumps(self.shown())
        self.tick()
        page = replace(job.page, time=time, recorded=self.clock, dependencies=self.followed())
        return RenderResult("done", payload, page=page)

    def count(self, kind: type) -> int:
        return sum(isinstance(job, kind) for job in self.jobs)
