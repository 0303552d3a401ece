"""Owing: what a change owes to all who depend on it, and who has too much coming."""

from __future__ import annotations

from collections.abc import Callable

from serverpush.protocol import Key, Position
from serverpush.server.core.cohorts import Audience, Cohort
from serverpush.server.core.connection import Connection
from serverpush.server.core.following import Following
from serverpush.server.core.log import Log
from serverpush.server.core.owed import Owed
from serverpush.server.core.registry import Registry
from serverpush.server.core.renderings import Renderings
from serverpush.server.core.steps import Step
from serverpush.server.core.watched import Watched

# Updates that all connections together may have coming, and that each may in any
# case: with more, loading its page again costs less.
MAX_OWED = 200_000
LEAST_OWED = 50
# Connections of a cohort that are owed something together: it pays for as few as two.
TOGETHER = 2


class Owing:
    """Notes what connections have coming, and gives up those who have too much.

    Arguments:
        log: tells the time.
        registry: the connections.
        renderings: takes what they are owed.
        following: lets who is given up follow nothing.
        unsettled: the position up to which it is known whom each change affects.
    """

    def __init__(
        self,
        log: Log,
        registry: Registry,
        renderings: Renderings,
        following: Following,
        unsettled: Callable[[], Position],
    ) -> None:
        self._log = log
        self._registry = registry
        self._renderings = renderings
        self._following = following
        self._unsettled = unsettled
        # Who has too much coming, and has yet to be told to refresh.
        self._overdue: list[str] = []
        # Who follows nothing until that is gone.
        self._unfollowed: dict[str, tuple[Connection, int]] = {}

    @property
    def most(self) -> int:
        """How many updates one connection may have coming."""
        return max(LEAST_OWED, MAX_OWED // max(1, len(self._registry)))

    def owe_all(
        self, watched: Watched, pk: Key, step: Step, before: bool | None, after: bool
    ) -> None:
        """Owe it to all who depend on a condition that an instance changed.

        Arguments:
            watched: the condition.
            pk: the instance's key.
            step: its changes.
            before, after: whether it met the condition; ``before`` may be unknown, None.
        """
        doubtful: dict[Cohort | None, list[Connection]] = {}
        for each in self._registry.may_show(step.at, self._log.now) if watched.watchers else ():
            doubtful.setdefault(each.cohort, []).append(each)
        for cohort, places in list(watched.watchers.items()):
            alone = doubtful.get(cohort, [])
            if len(cohort.members) - len(alone) < TOGETHER:
                alone = list(cohort.members)
            for place in places:
                if len(alone) < len(cohort.members):
                    owed = Owed.together(cohort, alone, place, pk, step, before, after)
                    self._renderings.owe(owed)
                for each in alone:
                    self._renderings.owe(Owed.at(each, place, pk, step, before, after))
            self._look_for_overdue(cohort, alone)

    def owe(self, owed: Owed) -> None:
        """Owe this to whom it is for."""
        self._renderings.owe(owed)
        if isinstance(owed.to, Audience):
            self._look_for_overdue(owed.to.cohort, [])

    def give_up(self, connection: Connection) -> None:
        """Owe a connection no updates for now, as it has to load its page again."""
        connection.overdue = True
        self._following.unwatch(connection)
        # Until it has been told, it must not come back as one that has had everything.
        ticket = connection.floors.hold(connection.safe(self._unsettled()))
        self._unfollowed[connection.id] = connection, ticket

    def forget(self, id: str) -> None:
        """A connection is no more."""
        self._unfollowed.pop(id, None)

    def tick(self) -> list[str]:
        """Who has to be told to refresh.

        Those who were given up, and, when little is left of what they had coming, once more:
        they follow their pages again, and of what happened meanwhile they have heard nothing.
        """
        overdue = dict.fromkeys((*self._overdue, *self._follow_again()))
        self._overdue.clear()
        return list(overdue)

    def _follow_again(self) -> list[str]:
        few = self.most // 2
        again = [each for each in self._unfollowed.values() if each[0].owed <= few]
        for connection, ticket in again:
            del self._unfollowed[connection.id]
            connection.floors.release(ticket)
            connection.overdue = False
            self._following.watch(connection, None)
        return [connection.id for connection, _ in again]

    def _look_for_overdue(self, cohort: Cohort, alone: list[Connection]) -> None:
        """Give up those of a cohort who have too much coming, if there may be any."""
        most = self.most
        those = list(cohort.members) if len(cohort.audiences) > most else alone
        for connection in [each for each in those if each.owed > most]:
            self._overdue.append(connection.id)
            self.give_up(connection)
