"""Dispatch: changes in, jobs for the renderers out; their results in, sends out.

It takes values and returns values: the shell around it owns the sockets, the
processes and the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from serverpush.protocol import (
    Change,
    Dependency,
    Gap,
    Key,
    MatchJob,
    MatchResult,
    ModelInfo,
    Page,
    Position,
    RenderJob,
    RenderResult,
    Visitor,
)
from serverpush.server.core.actions import Action, Refresh, Report, Send
from serverpush.server.core.index import Index, Watched
from serverpush.server.core.log import Log
from serverpush.server.core.matchings import Asked, Live, Matchings, Missed
from serverpush.server.core.owed import Owed
from serverpush.server.core.registry import Connection, Floors, Registry
from serverpush.server.core.renderings import Renderings, Run
from serverpush.server.core.replay import replay
from serverpush.server.core.steps import Step

Ticket = Asked | Run

# Clocks that follow a time server differ by less; so does a commit's time from
# the moment that its rows were seen.
CLOCK_MARGIN = 0.1


class Dispatch:
    """Who is affected by a change, what has to be rendered, and who gets it.

    Arguments:
        log: where changes get their positions.
        models: what is known of each model, by label.
        margin: seconds by which the clocks of the site's machines may differ.
    """

    def __init__(
        self, log: Log, models: dict[str, ModelInfo], *, margin: float = CLOCK_MARGIN
    ) -> None:
        self.log = log
        self._margin = margin
        self.index = Index(models)
        self.registry = Registry()
        self._matchings = Matchings(self.index)
        self._renderings = Renderings()
        # The positions before changes of which nobody knows yet whom they affect.
        self._unsettled = Floors()

    @property
    def waiting(self) -> int:
        """Jobs that wait for a renderer."""
        return len(self._matchings) + len(self._renderings)

    # Connections

    def connect(
        self, id: str, page: Page, visitor: Visitor, since: Position
    ) -> tuple[bool, list[Action]]:
        """Register a client and find out what it missed after ``since``.

        Returns whether it is up to date already, and what to do.
        """
        if since.epoch == self.log.epoch:
            since = min(since, self.log.head)
        connection = Connection(id, page, visitor, margin=self._margin)
        self.registry.add(connection)
        if not self.log.covers(since):
            self._watch(connection, self.log.head)
            return False, [Refresh((id,), "history")]
        up_to_date = not self._watch(connection, since)
        if any(isinstance(entry, Gap) for _, entry in self.log.since(since)):
            return False, [Refresh((id,), "gap")]
        return up_to_date, []

    def disconnect(self, id: str) -> None:
        """Forget a client; what is being rendered for it alone is dropped."""
        connection = self.registry.pop(id)
        if connection is not None:
            self._unwatch(connection)

    def _unwatch(self, connection: Connection) -> None:
        for watched in connection.watched:
            self.index.unwatch(watched, connection.id)
        connection.watched = []

    def _watch(self, connection: Connection, since: Position) -> bool:
        """Watch a page's conditions and owe what came after ``since``; was there anything?"""
        page = connection.page
        rendered = self.log.at(page.time)
        followed = self.log.covers(rendered)
        connection.watched = [
            self.index.watch(
                each.condition,
                each.keys if followed else None,
                self.log.head,
                connection.id,
                place,
            )
            for place, each in enumerate(page.dependencies)
        ]
        for each in replay(connection, since, self.log, self.index):
            if isinstance(each, Owed):
                self._renderings.owe(each)
            else:
                self._matchings.add_missed(each)
        return len(connection.floors) > 0

    # Changes

    def changed(self, change: Change, now: float) -> Position:
        """Log a change and note what has to be asked and rendered because of it.

        ``now`` is in seconds since the epoch.
        """
        change = replace(change, at=min(change.at or now, now))
        floor = self.log.head
        position = self.log.append(change, now)
        step = Step(change.action, change.at, floor, position)
        before, after = change.action != "created", change.action != "deleted"
        for watched in self.index.certain(change):
            self._owe_all(watched, change.pk, step, before, after)
        for model in self.index.asks(change.model):
            self._ask(model, change.pk, step)
        return position

    def gap(self, gap: Gap, now: float) -> list[Action]:
        """Log that changes were lost: every page has to be loaded again."""
        self.log.append(gap, now)
        everybody = tuple(each.id for each in self.registry)
        return [Refresh(everybody, "gap")] if everybody else []

    def _ask(self, model: str, pk: Key, step: Step) -> None:
        waiting = self._matchings.live(model, pk)
        if waiting is not None:
            waiting.step = waiting.step.join(step)
        else:
            ticket = self._unsettled.hold(step.floor)
            self._matchings.add_live(model, pk, Live(step, ticket))

    # Jobs

    def next_job(self) -> tuple[Ticket, MatchJob | RenderJob] | None:
        """The next job for a renderer and the ticket to answer it with, if there is one."""
        return self._matchings.next() or self._renderings.next(self.log.head)

    def answer(self, ticket: Ticket, result: MatchResult | RenderResult) -> list[Action]:
        """Take the result of a job."""
        if isinstance(ticket, Asked):
            assert isinstance(result, MatchResult)
            if result.error:
                return self._not_matched(ticket, result.error)
            return self._matched(ticket, result)
        assert isinstance(result, RenderResult)
        return self._rendered(ticket, result)

    def failed(self, ticket: Ticket, reason: str) -> list[Action]:
        """Take it that a job has no result: its renderer was ended, or gave up."""
        if isinstance(ticket, Asked):
            return self._not_matched(ticket, reason)
        name, model, *_ = ticket.key
        error = f"update {name!r} of {model} {ticket.owed[0].pk}: {reason}"
        return self._rendered(ticket, RenderResult("failed", error=error))

    # Matching

    def _matched(self, asked: Asked, result: MatchResult) -> list[Action]:
        self._matchings.finish(asked)
        met = {each.number: each for each in self.index.met(asked.model, result)}
        if asked.live is not None:
            self._settle(asked, asked.live.step, met)
            self._unsettled.release(asked.live.ticket)
        for missed in asked.missed:
            self._bring(missed, missed.watched.number in met)
        # Who has a condition that the database could not decide can't be followed.
        told = self.index.watchers_of(result.unknown)
        return [Refresh(tuple(sorted(told)), "error")] if told else []

    def _settle(self, asked: Asked, step: Step, met: dict[int, Watched]) -> None:
        members = {each.number for each in self.index.members_of(asked.model, asked.pk)}
        touched = self._touched(asked, met)
        for watched in touched.values():
            after = watched.number in met
            before = watched.number in members if watched.members is not None else None
            self.index.move(watched, asked.pk, after, step.position)
            self._owe_all(watched, asked.pk, step, before, after)
        for owed in self._perhaps_shown(asked, step):
            if owed.watched.number not in touched:
                self._renderings.owe(owed)

    def _perhaps_shown(self, asked: Asked, step: Step) -> Iterator[Owed]:
        """The young pages that may show the instance though they did not list it."""
        for connection in self.registry.may_show(step.at, self.log.now):
            for place, watched in enumerate(connection.watched):
                listed = watched.condition.model == asked.model and watched.is_asked
                if listed and watched.number <= asked.newest:
                    yield Owed.at(connection, place, asked.pk, step, before=False, after=False)

    def _touched(self, asked: Asked, met: dict[int, Watched]) -> dict[int, Watched]:
        """The conditions that the answer says something about."""
        touched = dict(met)
        for watched in self.index.members_of(asked.model, asked.pk):
            touched[watched.number] = watched
        for watched in self.index.unlisted(asked.model):
            touched[watched.number] = watched
        return {number: each for number, each in touched.items() if number <= asked.newest}

    def _bring(self, missed: Missed, after: bool) -> None:
        connection, place = missed.connection, missed.place
        connection.floors.release(missed.ticket)
        replaced = place >= len(connection.watched) or (
            connection.watched[place] is not missed.watched
        )
        if connection.closed or replaced:
            return
        step = missed.step
        self.index.move(missed.watched, missed.pk, after, step.position)
        if missed.owed:
            self._renderings.owe(Owed.at(connection, place, missed.pk, step, missed.before, after))

    def _not_matched(self, asked: Asked, reason: str) -> list[Action]:
        """Nobody knows who is affected, so all who may be are told to refresh."""
        self._matchings.finish(asked)
        told = {each.connection.id for each in asked.missed}
        for each in asked.missed:
            each.connection.floors.release(each.ticket)
        if asked.live is not None:
            self._unsettled.release(asked.live.ticket)
            told |= self.index.watchers(asked.model)
        report = Report(f"{asked.model} {asked.pk} could not be matched: {reason}")
        return [report, Refresh(tuple(sorted(told)), "error")] if told else [report]

    # What connections are owed

    def _owe_all(
        self, watched: Watched, pk: Key, step: Step, before: bool | None, after: bool
    ) -> None:
        for id, places in watched.watchers.items():
            connection = self.registry.get(id)
            if connection is not None:
                for place in places:
                    self._renderings.owe(Owed.at(connection, place, pk, step, before, after))

    # Results

    def _rendered(self, run: Run, result: RenderResult) -> list[Action]:
        owed = self._renderings.finish(run)
        if result.status == "gone":
            for each in owed:
                self.index.move(each.watched, each.pk, False, each.step.position)
                self._renderings.owe(replace(each, after=False))
            return []
        if result.status == "refused":
            return self._refused(owed, run.lead)
        for each in owed:
            each.release()
        if result.status == "failed":
            return [Report(result.error)]
        pages = self._replace(owed, result.page, run.started) if result.page else {}
        return list(self._sends(owed, result.payload, pages))

    def _sends(
        self, owed: Iterable[Owed], payload: str, pages: dict[str, Page]
    ) -> Iterator[Action]:
        """One send for all connections that get exactly the same."""
        unsettled = self._unsettled.lowest() or self.log.head
        alike: dict[tuple[Any, ...], list[Owed]] = {}
        for each in owed:
            connection = each.connection
            safe = min(connection.floors.lowest() or unsettled, unsettled)
            page = pages.get(connection.id)
            same = (each.action, each.step.position, each.suffix, safe, page)
            alike.setdefault(same, []).append(each)
        for (action, position, suffix, safe, page), those in alike.items():
            first = those[0]
            meta = {
                "id": f"{position}{suffix}",
                "safe": str(safe),
                "model": first.dependency.condition.model,
                "pk": first.pk,
                "action": action,
            }
            ids = tuple(each.connection.id for each in those)
            yield Send(ids, first.dependency.name, payload, meta, page)

    def _refused(self, owed: list[Owed], lead: Connection) -> list[Action]:
        """Tell who was refused; where others shared the rendering, ask for one of them."""
        told = set()
        for each in owed:
            if each.connection is lead or each.dependency.vary is None:
                each.release()
                told.add(each.connection.id)
            else:
                self._renderings.owe(each)
        return [Refresh(tuple(sorted(told)), "access")] if told else []

    def _replace(self, owed: list[Owed], page: Page, started: Position) -> dict[str, Page]:
        """Give the pages whose view ran again the dependencies it has now."""
        replaced = {}
        for connection in {each.connection.id: each.connection for each in owed}.values():
            if _same(connection.page.dependencies, page.dependencies):
                continue
            self._unwatch(connection)
            connection.page = connection.page.with_dependencies(
                page.dependencies, page.time, page.recorded
            )
            self._watch(connection, started)
            replaced[connection.id] = connection.page
        return replaced


def _same(one: tuple[Dependency, ...], other: tuple[Dependency, ...]) -> bool:
    """Are the dependencies the same but for the keys that were recorded?"""
    return [replace(each, keys=None) for each in one] == [
        replace(each, keys=None) for each in other
    ]
