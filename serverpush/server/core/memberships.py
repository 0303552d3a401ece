"""Memberships: what the database's answers move in and out, and who is owed that."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from serverpush.server.core.glimpses import Glimpses
from serverpush.server.core.index import Index
from serverpush.server.core.log import Log
from serverpush.server.core.matchings import Asked, Missed
from serverpush.server.core.owed import Owed
from serverpush.server.core.owing import Owing
from serverpush.server.core.registry import Registry
from serverpush.server.core.renderings import Renderings
from serverpush.server.core.steps import Step
from serverpush.server.core.watched import Watched


class Memberships:
    """Settles which conditions an instance met before and meets now.

    Arguments:
        log: tells the time.
        index: the conditions.
        glimpses: hears of the answers.
        registry: the connections.
        renderings: takes what one connection is owed.
        owing: takes what all are owed who watch a condition.
    """

    def __init__(
        self,
        log: Log,
        index: Index,
        glimpses: Glimpses,
        registry: Registry,
        renderings: Renderings,
        owing: Owing,
    ) -> None:
        self._log = log
        self._index = index
        self._glimpses = glimpses
        self._registry = registry
        self._renderings = renderings
        self._owing = owing

    def settle(
        self, asked: Asked, step: Step, met: dict[int, Watched], undecided: Collection[int]
    ) -> None:
        """Move an instance that changed into what it meets now, and owe it to who watches.

        Arguments:
            asked: the question about the instance.
            step: its changes.
            met: the conditions that it meets, by their numbers.
            undecided: the numbers of those of which the answer says nothing.
        """
        if step.is_folded:
            self._index.folds.note(asked.model, asked.pk, step.floor, step.position)
        # A membership that a page brought along, and that is not up to date yet.
        outdated = {each.watched.number: each.watched for each in asked.missed}
        ahead = {
            each.number: each for each in self._index.ahead(asked.model, step.at, self._log.now)
        }
        uncertain = outdated | ahead
        touched = self._touched(asked, met | uncertain, undecided)
        for number, watched in touched.items():
            after = number in met
            members = watched.members
            known = members is not None and asked.pk not in watched.unsure
            before = asked.pk in (members or ()) if known and number not in uncertain else None
            self._index.move(watched, asked.pk, after, step.position)
            self._owing.owe_all(watched, asked.pk, step, before, after)
        for owed in self._perhaps_shown(asked, step):
            if owed.watched.number not in touched and owed.watched.number not in undecided:
                self._renderings.owe(owed)
        self._glimpses.answered(asked, step, {*touched, *undecided}, self._log.now)

    def settle_missed(self, missed: Missed, after: bool) -> None:
        """Bring one connection over what it missed; ``after`` tells if the instance meets it."""
        connection, watched = missed.connection, missed.watched
        connection.floors.release(missed.ticket)
        # The answer may be ahead of the log: others who have the condition, and this
        # client where it is owed nothing, hear of that by a change yet to be reported.
        agrees = watched.members is not None and (missed.pk in watched.members) == after
        if not agrees or (not missed.owed and missed.before is None):
            self._index.doubt(watched, missed.pk)
        if connection.closed or not missed.owed or watched not in connection.watched:
            return
        place = missed.place
        if place >= len(connection.watched) or connection.watched[place] is not watched:
            place = connection.watched.index(watched)
        self._renderings.owe(
            Owed.at(connection, place, missed.pk, missed.step, missed.before, after, missed.doubt)
        )

    def _perhaps_shown(self, asked: Asked, step: Step) -> Iterator[Owed]:
        """The young pages that may show the instance though they did not list it."""
        for connection in self._registry.may_show(step.at, self._log.now):
            for place, watched in enumerate(connection.watched):
                listed = watched.condition.model == asked.model and watched.is_asked
                if listed and watched.number <= asked.newest:
                    yield Owed.at(connection, place, asked.pk, step, before=False, after=False)

    def _touched(
        self, asked: Asked, met: dict[int, Watched], undecided: Collection[int]
    ) -> dict[int, Watched]:
        """The conditions that the answer says something about."""
        touched = dict(met)
        for watched in self._index.members_of(asked.model, asked.pk):
            touched[watched.number] = watched
        for watched in self._index.unlisted(asked.model):
            touched[watched.number] = watched
        return {
            number: each
            for number, each in touched.items()
            if number <= asked.newest and number not in undecided
        }
