"""Cohorts: connections whose pages depend on the same, taken together.

What a change owes to one of a cohort it owes to all of them, and it is noted once, however
many they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from serverpush.protocol import Dependency, Key, Position, Serializer
from serverpush.server.core.floors import Floors
from serverpush.server.core.profiles import Sources
from serverpush.server.core.told import Told

if TYPE_CHECKING:
    from serverpush.server.core.connection import Connection, Values
    from serverpush.server.core.watched import Watched

# Sets of sources by which a cohort knows how alike its members are.
MAX_COUNTED = 16


@dataclass(slots=True)
class Reading:
    """That a view has read what its page depends on, for all of a cohort.

    What was committed ``until`` then, in seconds since the epoch, it may have seen.
    ``pk`` is of the instance that it last ran for. ``doubted`` is the tick in which it was last
    made anew for a doubt about what it has read.
    """

    until: float
    pk: Key
    doubted: float = -inf


class Cohort:
    """Connections whose pages have the same updates, in the order in which they came.

    ``watched`` and ``marks`` stand beside the dependencies of their pages, place by
    place. ``audiences`` are those that are owed something, the earliest first. ``told``
    is what was sent to all of them, and ``readings`` what views have read for them.
    """

    __slots__ = (
        "_counts",
        "_floors",
        "_serial",
        "audiences",
        "key",
        "marks",
        "members",
        "readings",
        "told",
        "watched",
    )

    def __init__(self, key: Any, watched: list[Watched], marks: list[str]) -> None:
        self.key = key
        self.watched = watched
        self.marks = marks
        self.members: dict[Connection, None] = {}
        self.audiences: dict[Audience, int] = {}
        self.told = Told()
        self.readings: dict[Serializer, Reading] = {}
        self._serial = 0
        self._floors = Floors()
        self._counts: dict[Sources, Counter[Values]] = {}

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """The updates of its members' pages, place by place."""
        return next(iter(self.members)).page.dependencies

    @property
    def newest(self) -> int:
        """The serial number of who joined last."""
        return self._serial

    def join(self, connection: Connection) -> None:
        self._serial += 1
        connection.cohort, connection.serial = self, self._serial
        self.members[connection] = None
        for sources, counts in self._counts.items():
            counts[connection.values(sources)] += 1

    def leave(self, connection: Connection) -> None:
        """Let a connection go; where it lives on, it stays owed what it was."""
        if not connection.closed:
            pending = [each for each in self.audiences if connection in each]
            for audience in pending:
                audience.left[connection] = None
            connection.past = [each for each in connection.past if each.is_held] + pending
        connection.cohort = None
        del self.members[connection]
        for sources, counts in self._counts.items():
            values = connection.values(sources)
            counts[values] -= 1
            if not counts[values]:
                del counts[values]

    def values(self, sources: Sources) -> Values | None:
        """What all members have at these sources; None where they differ."""
        counts = self._counts.get(sources)
        if counts is None:
            if len(self._counts) >= MAX_COUNTED:
                self._counts.clear()
            counts = self._counts[sources] = Counter(each.values(sources) for each in self.members)
        return next(iter(counts)) if len(counts) == 1 else None

    def owed(self, connection: Connection) -> int:
        """How much is owed to audiences that a member belongs to."""
        if not self._has_earlier(connection):
            return len(self.audiences)
        return sum(1 for each in self.audiences if connection.serial <= each.upto)

    def lowest(self, connection: Connection) -> Position | None:
        """The lowest floor of audiences that a member belongs to."""
        if not self._has_earlier(connection):
            return self._floors.lowest()
        mine = [each.floor for each in self.audiences if connection.serial <= each.upto]
        return min(mine, default=None)

    def alike(self, connections: Iterable[Connection]) -> tuple[list[Connection], Position | None]:
        """Those members that only the cohort holds back, and the floor that it has for them."""
        first = next(iter(self.audiences), None)
        upto = self._serial if first is None else first.upto
        found = [
            each
            for each in connections
            if each.serial <= upto
            and each.cohort is self
            and not each.floors.held
            and not each.past
        ]
        return found, self._floors.lowest()

    def hold(self, audience: Audience, floor: Position) -> None:
        self.audiences[audience] = self._floors.hold(floor)

    def release(self, audience: Audience) -> None:
        ticket = self.audiences.pop(audience, None)
        if ticket is not None:
            self._floors.release(ticket)

    def move(self, audience: Audience, floor: Position) -> None:
        """Hold another floor for an audience that is held."""
        self._floors.release(self.audiences[audience])
        self.audiences[audience] = self._floors.hold(floor)

    def _has_earlier(self, connection: Connection) -> bool:
        """Are there audiences that were closed before this one joined?"""
        first = next(iter(self.audiences), None)
        return first is not None and first.upto < connection.serial


class Audience:
    """Those who were in a cohort at one time, but for those in ``out``.

    Who has left the cohort since, to be in another, is in ``left``. ``floor`` is held back
    for all of them while they are owed something.
    """

    __slots__ = ("cohort", "floor", "left", "out", "upto")

    def __init__(self, cohort: Cohort, out: Iterable[Connection] = ()) -> None:
        self.cohort = cohort
        self.upto = cohort.newest
        self.out: set[Connection] = set(out)
        self.left: dict[Connection, None] = {}
        self.floor: Position = None  # type: ignore[assignment]

    def __contains__(self, connection: Connection) -> bool:
        if connection.cohort is self.cohort and connection.serial <= self.upto:
            return connection not in self.out
        return connection in self.left

    def __iter__(self) -> Iterator[Connection]:
        for each in self.cohort.members:
            if each.serial > self.upto:
                break
            if each not in self.out:
                yield each
        yield from self.left

    @property
    def is_held(self) -> bool:
        return self in self.cohort.audiences

    def since(self, serial: int) -> list[Connection]:
        """Those of them who joined later than the one of this number."""
        found = []
        for each in reversed(self.cohort.members):
            if each.serial <= serial:
                break
            if each in self:
                found.append(each)
        return found

    def unlike(self, values: Values, sources: Sources) -> list[Connection]:
        """Those of them who have other values at these sources."""
        those = self.left if self.cohort.values(sources) == values else self
        return [each for each in those if each.values(sources) != values]

    def hold(self, floor: Position) -> None:
        if not self.is_held:
            self.floor = floor
            self.cohort.hold(self, floor)

    def move(self, floor: Position) -> None:
        if self.is_held:
            self.floor = floor
            self.cohort.move(self, floor)

    def release(self) -> None:
        self.cohort.release(self)

    def take_out(self, connection: Connection) -> None:
        """Let it be for this one no longer."""
        self.left.pop(connection, None)
        if connection.cohort is self.cohort and connection.serial <= self.upto:
            self.out.add(connection)
        connection.past = [each for each in connection.past if each is not self]


class One:
    """An audience of one connection, with the same ways."""

    __slots__ = ("_is_out", "_ticket", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ticket: int | None = None
        self._is_out = False

    def __contains__(self, connection: Connection) -> bool:
        return connection is self.connection and not self._is_out

    def __iter__(self) -> Iterator[Connection]:
        if not self._is_out:
            yield self.connection

    def unlike(self, values: Values, sources: Sources) -> list[Connection]:
        return [each for each in self if each.values(sources) != values]

    def take_out(self, connection: Connection) -> None:
        self._is_out = True
        self.release()

    @property
    def is_held(self) -> bool:
        return self._ticket is not None

    def hold(self, floor: Position) -> None:
        if self._ticket is None:
            self._ticket = self.connection.floors.hold(floor)

    def move(self, floor: Position) -> None:
        if self._ticket is not None:
            self.release()
            self.hold(floor)

    def release(self) -> None:
        if self._ticket is not None:
            self.connection.floors.release(self._ticket)
            self._ticket = None


class Cohorts:
    """The cohorts, by what their members have in common."""

    def __init__(self) -> None:
        self._cohorts: dict[Any, Cohort] = {}

    def __len__(self) -> int:
        return len(self._cohorts)

    def join(
        self, connection: Connection, key: Any, watched: list[Watched], marks: Sequence[str]
    ) -> None:
        """Let a connection be with those who have the same key; conditions get to know them.

        Arguments:
            key: all that a change goes by in what it owes, and to whom.
            watched: the conditions of the page's updates, place by place.
            marks: what tells the updates apart.
        """
        cohort = self._cohorts.get(key)
        if cohort is None:
            cohort = self._cohorts[key] = Cohort(key, watched, list(marks))
            for place, each in enumerate(watched):
                each.watchers.setdefault(cohort, []).append(place)
        cohort.join(connection)

    def leave(self, connection: Connection) -> Cohort | None:
        """Let a connection be in none; returns the cohort if it was its last."""
        cohort = connection.cohort
        if cohort is None:
            return None
        cohort.leave(connection)
        if cohort.members:
            return None
        del self._cohorts[cohort.key]
        return cohort
