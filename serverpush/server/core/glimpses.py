"""Glimpses: what a view that ran again may have read, and no answer of the database tells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from serverpush.protocol import Key
from serverpush.server.core.cohorts import Audience, Cohort
from serverpush.server.core.index import Index
from serverpush.server.core.log import Instance
from serverpush.server.core.matchings import Asked
from serverpush.server.core.owed import Owed
from serverpush.server.core.owing import Owing
from serverpush.server.core.renderings import Renderings, Run
from serverpush.server.core.steps import Step
from serverpush.server.core.watched import Watched

MAX_ANSWERS = 10_000
# Seconds between two times that the views of a condition are made anew for a doubt: an instance
# that is saved again and again is in doubt each time, whatever it is about.
DOUBT_TICKS = 5


class Glimpses:
    """Instances that came to meet a condition and stopped before anybody asked.

    They never were members. But a view that read them in between shows them, and has to be
    made anew, be it that they are found out while it runs or after that.

    Arguments:
        index: the conditions.
        renderings: tells which are under way.
        owing: has views made anew.
        margin: seconds by which the times of commits and of renderings may be off.
    """

    def __init__(
        self, index: Index, renderings: Renderings, owing: Owing, *, margin: float
    ) -> None:
        self._index = index
        self._renderings = renderings
        self._owing = owing
        self._margin = margin
        # Of each instance when it was last answered for, and when it had changed; and how
        # late those were answered for that are forgotten. In seconds since the epoch.
        self._answers: OrderedDict[Instance, tuple[float, float]] = OrderedDict()
        self._horizon = 0.0
        # What was found out during the renderings under way, and from when on it was so.
        self._steps: dict[Instance, tuple[float, Step]] = {}
        self._ticks = 0
        # What is in doubt, and has to wait.
        self._waiting: dict[Watched, list[Owed]] = {}

    def answered(self, asked: Asked, step: Step, settled: Collection[int], now: float) -> None:
        """Take note of the answer about an instance that changed.

        ``settled`` are the numbers of the conditions for which it has been told what the
        instance did; ``now`` is in seconds since the epoch.
        """
        began = self._began(asked, step, now)
        if began is None:
            return
        for watched in self._index.reread(asked.model, began, now):
            if watched.number <= asked.newest and watched.number not in settled:
                self._doubt(watched, asked.pk, step)
        if self._renderings.oldest is None:
            self._steps.clear()
            return
        key = asked.model, asked.pk
        earlier = self._steps.get(key)
        if earlier is not None:
            began, step = min(earlier[0], began), earlier[1].join(step)
        self._steps[key] = began, step

    def read(self, run: Run, owed: Iterable[Owed], recorded: float) -> None:
        """Take note that a view has read what meets the conditions that it depends on.

        Arguments:
            run: of the view.
            owed: whom its result is for.
            recorded: when its page was, in seconds since the epoch.
        """
        until = recorded + self._margin
        for watched in _conditions(run, owed):
            self._index.note_reread(watched, until)
            for (model, pk), (began, step) in self._steps.items():
                may_be_read = step.position > run.started and began <= until
                is_member = pk in (watched.members or ())
                if model == watched.condition.model and may_be_read and not is_member:
                    self._doubt(watched, pk, step)
        oldest = self._renderings.oldest
        self._steps = {
            key: (began, step)
            for key, (began, step) in self._steps.items()
            if oldest is not None and step.position > oldest
        }

    def tick(self) -> None:
        """Each second: have those views made anew that have waited long enough."""
        self._ticks += 1
        for watched in [each for each in self._waiting if self._is_due(each)]:
            watched.doubted = self._ticks
            self._owing.owe(self._waiting.pop(watched))

    def _doubt(self, watched: Watched, pk: Key, step: Step) -> None:
        """The views that depend on a condition may show an instance that does not meet it."""
        owed = self._owing.views(watched, pk, step)
        if self._is_due(watched):
            watched.doubted = self._ticks
            self._owing.owe(owed)
            return
        waiting = self._waiting.setdefault(watched, [])
        latest = {each.slot: each for each in waiting}
        for each in owed:
            earlier = latest.get(each.slot)
            if earlier is not None and _are_of_the_same(earlier, each):
                earlier.fold(each, same_instance=False)
            else:
                # Until it is owed, nobody is told to have had everything.
                each.hold()
                waiting.append(each)

    def _is_due(self, watched: Watched) -> bool:
        return self._ticks - watched.doubted >= DOUBT_TICKS

    def _began(self, asked: Asked, step: Step, now: float) -> float | None:
        """Since when there was a state that the database was not asked about, if there was.

        There was if several changes were asked about at once, and if the answer before this
        one may have told of what this change made already.
        """
        key = asked.model, asked.pk
        answered, changed = self._answers.pop(key, (self._horizon, 0.0))
        self._answers[key] = now, step.at
        if len(self._answers) > MAX_ANSWERS:
            _, (self._horizon, _) = self._answers.popitem(last=False)
        if step.at <= answered + self._margin:
            return min(changed, step.at)
        return step.at if step.is_folded else None


def _are_of_the_same(one: Owed, other: Owed) -> bool:
    """Of two that are for all of a cohort, has nobody joined it in between?"""
    mine, others = one.to, other.to
    return isinstance(mine, Audience) and isinstance(others, Audience) and mine.upto == others.upto


def _conditions(run: Run, owed: Iterable[Owed]) -> list[Watched]:
    """Those that the pages depend on for which a view ran."""
    cohorts: dict[Cohort, None] = {}
    for each in owed:
        if isinstance(each.to, Audience) and each.to.cohort.members:
            cohorts[each.to.cohort] = None
        those = each.to.left if isinstance(each.to, Audience) else each.to
        cohorts.update((one.cohort, None) for one in those if one.cohort is not None)
    found: dict[Watched, None] = {}
    for cohort in cohorts:
        for watched, dependency in zip(cohort.watched, cohort.dependencies, strict=True):
            if watched.is_asked and dependency.serializer == run.serializer:
                found[watched] = None
    return list(found)
