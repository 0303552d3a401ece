"""Glimpses: what a view that ran again may have read, and no answer of the database tells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import replace

from serverpush.protocol import Position, Serializer
from serverpush.server.core.cohorts import Audience, Cohort, Reading
from serverpush.server.core.index import Index
from serverpush.server.core.log import Instance
from serverpush.server.core.matchings import Asked
from serverpush.server.core.owed import Owed, Slot
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
        skew: seconds by which the site's clock may be ahead of this one's.
    """

    def __init__(
        self,
        index: Index,
        renderings: Renderings,
        owing: Owing,
        *,
        margin: float,
        skew: float,
    ) -> None:
        self._index = index
        self._renderings = renderings
        self._owing = owing
        self._margin = margin
        self._skew = skew
        # Of each instance when it was last answered for, and when it had changed; and how
        # late those were answered for that are forgotten. In seconds since the epoch.
        self._answers: OrderedDict[Instance, tuple[float, float]] = OrderedDict()
        self._horizon = 0.0
        # What was found out during the renderings under way, and from when on it was so.
        self._steps: dict[Instance, tuple[float, Step]] = {}
        self._ticks = 0
        # What is in doubt, and has to wait.
        self._waiting: dict[Slot, tuple[Reading, Owed]] = {}

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
                for cohort, places in list(watched.watchers.items()):
                    for serializer in {cohort.dependencies[each].serializer for each in places}:
                        reading = cohort.readings.get(serializer)
                        if reading is not None and began <= reading.until:
                            self._doubt(cohort, serializer, reading, step)
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
        for cohort, first in _cohorts(owed).items():
            reading = cohort.readings.get(run.serializer)
            if reading is None:
                reading = cohort.readings[run.serializer] = Reading(until, first.pk)
            reading.until = max(reading.until, until)
            if isinstance(first.to, Audience) or len(cohort.members) == 1:
                reading.pk = first.pk
            for watched in _conditions(cohort, run.serializer):
                self._index.note_reread(watched, until)
                if (step := self._unseen(watched, run.started, until)) is not None:
                    self._doubt(cohort, run.serializer, reading, step)
        self._forget()

    def tick(self) -> None:
        """Each second: have those views made anew that have waited long enough."""
        self._ticks += 1
        self._forget()
        due = [slot for slot, (reading, _) in self._waiting.items() if self._is_due(reading)]
        for slot in due:
            reading, owed = self._waiting.pop(slot)
            reading.doubted = self._ticks
            self._owing.owe(owed)

    def _unseen(self, watched: Watched, started: Position, until: float) -> Step | None:
        """What was found out while a view ran, of instances that meet a condition no more."""
        found: Step | None = None
        for (model, pk), (began, step) in self._steps.items():
            may_be_read = step.position > started and began <= until
            is_member = pk in (watched.members or ())
            if model == watched.condition.model and may_be_read and not is_member:
                found = step if found is None else found.join(step)
        return found

    def _doubt(self, cohort: Cohort, serializer: Serializer, reading: Reading, step: Step) -> None:
        """What a view has read for a cohort may be no more."""
        owed = _again(cohort, serializer, reading, step)
        if self._is_due(reading):
            reading.doubted = self._ticks
            self._owing.owe(owed)
            return
        # Until it is owed, nobody is told to have had everything.
        owed.hold()
        _, earlier = self._waiting.pop(owed.slot, (None, None))
        if earlier is not None:
            # Who is in another cohort by now waits no longer.
            for one in list(earlier.to.left) if isinstance(earlier.to, Audience) else []:
                self._owing.owe(earlier.apart(one))
            owed.fold(earlier, same_instance=False)
            earlier.release()
        self._waiting[owed.slot] = reading, owed

    def _is_due(self, reading: Reading) -> bool:
        return self._ticks - reading.doubted >= DOUBT_TICKS

    def _forget(self) -> None:
        """Forget what no rendering that is under way can have read."""
        oldest = self._renderings.oldest
        self._steps = {
            key: (began, step)
            for key, (began, step) in self._steps.items()
            if oldest is not None and step.position > oldest
        }

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
        if step.at <= answered + self._margin + self._skew:
            return min(changed, step.at)
        return step.at if step.is_folded else None


def _again(cohort: Cohort, serializer: Serializer, reading: Reading, step: Step) -> Owed:
    """Has a view made anew for a cohort as it was last.

    The instance that is in doubt is none of its page. Another one is named, which is; where
    there is none, the one that the view ran for last, as one that is not there.
    """
    dependencies = cohort.dependencies
    places = [place for place, each in enumerate(dependencies) if each.serializer == serializer]
    place, pk, is_there = places[0], reading.pk, False
    for each in places:
        watched = cohort.watched[each]
        known = watched.condition.key
        if known is None:
            known = next(iter(watched.members or ()), None)
        if known is not None:
            place, pk, is_there = each, known, True
            break
    owed = Owed.together(cohort, (), place, pk, step, before=None, after=is_there)
    return owed if owed.action is not None else replace(owed, after=not is_there)


def _cohorts(owed: Iterable[Owed]) -> dict[Cohort, Owed]:
    """Those for which something is owed, with one of what is: for all of it, if one is."""
    found: dict[Cohort, Owed] = {}
    for each in owed:
        if isinstance(each.to, Audience) and each.to.cohort.members:
            found[each.to.cohort] = each
        for one in each.to.left if isinstance(each.to, Audience) else each.to:
            if one.cohort is not None:
                found.setdefault(one.cohort, each)
    return found


def _conditions(cohort: Cohort, serializer: Serializer) -> list[Watched]:
    """Those that a cohort's pages depend on for a view, and whose members are followed."""
    return [
        watched
        for watched, dependency in zip(cohort.watched, cohort.dependencies, strict=True)
        if watched.is_asked and watched.members is not None and dependency.serializer == serializer
    ]
