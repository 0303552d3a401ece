"""Dispatch: changes in, jobs for the renderers out; their results in, sends out.

It takes values and returns values: the shell around it owns the sockets, the
processes and the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from serverpush.jobs import MatchJob, RenderJob
from serverpush.protocol import Change, Gap, Key, ModelInfo, Page, Position, Visitor
from serverpush.results import EVERYTHING, MatchResult, RenderResult
from serverpush.server.core.actions import Action, Ready, Refresh, Report
from serverpush.server.core.connection import Connection
from serverpush.server.core.floors import Floors
from serverpush.server.core.following import Following
from serverpush.server.core.glimpses import Glimpses
from serverpush.server.core.index import Index
from serverpush.server.core.log import Log
from serverpush.server.core.matchings import Asked, Live, Matchings
from serverpush.server.core.memberships import Memberships
from serverpush.server.core.owed import Owed
from serverpush.server.core.owing import Owing
from serverpush.server.core.registry import Registry
from serverpush.server.core.renderings import Renderings, Run
from serverpush.server.core.sends import sends
from serverpush.server.core.steps import Step
from serverpush.server.core.turns import Turns

Ticket = Asked | Run

# Clocks that follow a time server differ by less; so does a commit's time from
# the moment that its rows were seen.
CLOCK_MARGIN = 0.1
# Quiet pages that are told where they stand in one tick.
MAX_TOLD = 500


class Dispatch:
    """Who is affected by a change, what has to be rendered, and who gets it.

    Arguments:
        log: where changes get their positions.
        models: what is known of each model, by label.
        margin: seconds by which the times of commits and of renderings may be off.
        skew: seconds by which the site's clock may be ahead of this one's.
    """

    def __init__(
        self,
        log: Log,
        models: dict[str, ModelInfo],
        *,
        margin: float = CLOCK_MARGIN,
        skew: float = 0,
    ) -> None:
        self.log = log
        self._margin = margin
        self._skew = skew
        self.index = Index(models)
        self.registry = Registry()
        self._matchings = Matchings(self.index)
        self._renderings = Renderings()
        self._following = Following(log, self.index, self._matchings, self._renderings, self.at)
        self._owing = Owing(log, self.registry, self._renderings, self._following, self.unsettled)
        self._glimpses = Glimpses(
            self.index, self._renderings, self._owing, margin=margin, skew=skew
        )
        self._memberships = Memberships(
            log, self.index, self._glimpses, self.registry, self._renderings, self._owing
        )
        # In turn, or a flood of changes to be matched would keep back all renderings.
        self._jobs: Turns[tuple[Ticket, MatchJob | RenderJob]] = Turns(
            self._matchings.next, lambda: self._renderings.next(self.log.head)
        )
        # The positions before changes of which nobody knows yet whom they affect.
        self._unsettled = Floors()

    @property
    def matchings(self) -> int:
        """How many instances wait to be asked about."""
        return len(self._matchings)

    @property
    def renderings(self) -> int:
        """How many renderings wait."""
        return len(self._renderings)

    # Connections

    def connect(
        self, id: str, page: Page, visitor: Visitor, since: Position, *, returns: bool = False
    ) -> tuple[bool, list[Action]]:
        """Register a client and find out what it missed after ``since``.

        ``returns``: it was connected before, and ``since`` is its safe position.
        Returns whether it is up to date already, and what to do.
        """
        if since.epoch == self.log.epoch:
            since = min(since, self.log.head)
        connection = Connection(id, page, visitor, margin=self._margin)
        self.registry.add(connection, self.log.head)
        if not page.dependencies:
            # It is here for messages only.
            return True, []
        if not self.log.covers(since):
            self._following.watch(connection, None)
            return False, [Refresh((id,), "history")]
        if self.log.has_gap(since):
            self._following.watch(connection, None)
            return False, [Refresh((id,), "gap")]
        connection.reach(since)
        changed = self._following.missed(page, since)
        self._following.watch(connection, changed)
        if changed is None:
            return False, [Refresh((id,), "history")]
        self._following.bring(connection, range(len(connection.watched)), changed, since, returns)
        if connection.owed > self._owing.most:
            self._owing.give_up(connection)
            return False, [Refresh((id,), "history")]
        return not connection.owed, []

    def disconnect(self, id: str) -> None:
        """Forget a client; what is being rendered for it alone is dropped."""
        connection = self.registry.pop(id)
        if connection is not None:
            self._owing.forget(id)
            self._following.unwatch(connection)

    def tick(self) -> list[Action]:
        """Each second: tell who has to refresh, and quiet pages, in time, where they stand."""
        actions: list[Action] = []
        self._glimpses.tick()
        if overdue := self._owing.tick():
            actions.append(Refresh(tuple(overdue), "history"))
        told = self.registry.behind(self.log.fading(), self.log.head, MAX_TOLD)
        return [*actions, *self.stand(each.id for each in told)]

    def stand(self, ids: Iterable[str]) -> list[Action]:
        """Tell those who are owed nothing where they stand."""
        there = [each for each in map(self.registry.get, ids) if each is not None]
        safe = self.unsettled()
        quiet = tuple(each.id for each in there if not each.owed and each.reach(safe) is safe)
        return [Ready(quiet, safe)] if quiet else []

    def untell(self, ids: Iterable[str]) -> None:
        """Note that clients were told to refresh.

        What they show then is what they have fetched, and not what they were sent last.
        """
        for connection in map(self.registry.get, ids):
            if connection is not None:
                connection.told = None
                if connection.cohort is not None:
                    connection.cohort.told.clear()

    def hold(self) -> None:
        """What is logged from now on is sent to nobody: let no safe position cover it."""
        self._unsettled.hold(self.log.head)

    def unsettled(self) -> Position:
        """The position up to which it is known whom each change affects."""
        return self._unsettled.lowest() or self.log.head

    def at(self, timestamp: float) -> Position:
        """The position for a time by the site's clock, in seconds since the epoch."""
        return self.log.at(timestamp - self._skew)

    def is_to_come(self, timestamp: float, now: float) -> bool:
        """Is a time by the site's clock later than ``now``, by more than clocks may differ?

        Both in seconds since the epoch. What comes until then would be taken for
        earlier than what was rendered at that time.
        """
        return timestamp - self._skew > now

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
            self._owing.owe_all(watched, change.pk, step, before, after)
        for model in self.index.asks(change.model):
            self._ask(model, change.pk, step)
        return position

    def gap(self, gap: Gap, now: float) -> list[Action]:
        """Log that changes were lost: every page has to be loaded again."""
        self.log.append(gap, now)
        return self.refresh_all()

    def refresh_all(self) -> list[Action]:
        """Take it that nobody is up to date."""
        # Of what was lost the lists know nothing: who has been loaded again brings others.
        self.index.unlist_all()
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
        return self._jobs.next()

    def answer(
        self, ticket: Ticket, result: MatchResult | RenderResult, now: float = 0
    ) -> list[Action]:
        """Take the result of a job; ``now`` is in seconds since the epoch."""
        self.log.now = max(self.log.now, now)
        if isinstance(ticket, Asked):
            assert isinstance(result, MatchResult)
            if result.error:
                return self._not_matched(ticket, result.error)
            if self._matchings.goes_on(ticket, result):
                return []
            return self._matched(ticket, result if ticket.first is None else ticket.first | result)
        assert isinstance(result, RenderResult)
        if result.status == "done":
            # What is refused or fails may have read more, or ended too early to tell.
            self._renderings.learn(ticket, frozenset(result.reads))
        return self._rendered(ticket, result)

    def failed(self, ticket: Ticket, reason: str) -> list[Action]:
        """Take it that a job has no result: its renderer was ended, or gave up."""
        if isinstance(ticket, Asked):
            return self._not_matched(ticket, reason)
        first = ticket.owed[0]
        what = f"update {first.dependency.name!r} of {first.dependency.condition.model}"
        error = f"{what} {first.pk}: {reason}"
        # Nobody knows what it read: it may have been for its own visitor alone. Where the next
        # one's ends so, too, it is for all of them, who would wait for it one after another.
        reads = frozenset() if self._renderings.died(ticket) else EVERYTHING
        return self._rendered(ticket, RenderResult("failed", error=error, reads=tuple(reads)))

    # Matching

    def _matched(self, asked: Asked, result: MatchResult) -> list[Action]:
        self._matchings.finish(asked)
        met = {each.number: each for each in self.index.met(asked.model, result)}
        # Who has a condition that the database could not decide can't be followed.
        undecided = result.unknown
        told = self.index.watchers_of(undecided)
        for watched in self.index.numbered(undecided):
            self.index.unlist(watched)
        if asked.live is not None:
            self._memberships.settle(asked, asked.live.step, met, undecided)
            self._unsettled.release(asked.live.ticket)
        for missed in asked.missed:
            if missed.watched.number in undecided:
                missed.connection.floors.release(missed.ticket)
            else:
                self._memberships.settle_missed(missed, missed.watched.number in met)
        return [Refresh(tuple(sorted(told)), "error")] if told else []

    def _not_matched(self, asked: Asked, reason: str) -> list[Action]:
        """Nobody knows who is affected, so all who may be are told to refresh."""
        self._matchings.finish(asked)
        lost = {each.watched.number: each.watched for each in asked.missed}
        for each in asked.missed:
            each.connection.floors.release(each.ticket)
        if asked.live is not None:
            self._unsettled.release(asked.live.ticket)
            lost |= {each.number: each for each in self.index.asked(asked.model)}
        told = self.index.watchers_of(lost)
        for watched in lost.values():
            self.index.unlist(watched)
        report = Report(f"{asked.model} {asked.pk} could not be matched: {reason}")
        return [report, Refresh(tuple(sorted(told)), "error")] if told else [report]

    # Results

    def _rendered(self, run: Run, result: RenderResult) -> list[Action]:
        owed = self._renderings.share(run, self._renderings.finish(run), frozenset(result.reads))
        if result.status == "gone" and run.present and run.is_of_instance:
            # The membership stays as it is: the deletion's own report is for everybody.
            for each in owed:
                self._renderings.owe(replace(each, after=False))
            return []
        if result.status == "refused":
            return self._refused(owed, run)
        if result.status in ("failed", "gone"):
            # What they show is out of date, and no event will tell.
            for each in owed:
                each.release()
            told = sorted({connection.id for each in owed for connection in each.connections})
            first = run.owed[0]
            what = f"{first.dependency.condition.model} {first.pk}"
            report = Report(result.error or f"{what} has no such key")
            return [report, *([Refresh(tuple(told), "error")] if told else [])]
        pages, overdue = self._following.replace(owed, result.page, run)
        if result.page is not None:
            # Before it is sent: what is owed because of it holds the safe positions back.
            self._glimpses.read(run, owed, result.page.recorded)
        actions: list[Action] = list(sends(owed, result.payload, pages, self.unsettled()))
        return [*actions, Refresh(tuple(overdue), "history")] if overdue else actions

    def _refused(self, owed: list[Owed], run: Run) -> list[Action]:
        """Tell who was refused; where others share by `vary`, ask for one of them."""
        told = set()
        for each in owed:
            refused = [one for one in each.connections if one is run.lead or not run.is_by_vary]
            told |= {one.id for one in refused}
            for one in refused:
                each.apart(one).release()
            self._renderings.owe(each)
        return [Refresh(tuple(sorted(told)), "access")] if told else []
