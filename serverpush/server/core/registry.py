"""The registry: the connections by id, and who has to be told where they stand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from serverpush.protocol import Position
from serverpush.server.core.connection import Connection
from serverpush.server.core.index import YOUNG_SECONDS


class Registry:
    """The connections by id."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._young: dict[str, Connection] = {}
        # Where the log stood when each was last told where it stands, oldest first.
        self._told: OrderedDict[str, Position] = OrderedDict()

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._connections.values())

    def add(self, connection: Connection, head: Position) -> None:
        """Register a connection; ``head`` is where the log stands."""
        self._connections[connection.id] = connection
        self._told[connection.id] = head
        self._young[connection.id] = connection

    def behind(self, place: Position, head: Position, most: int) -> list[Connection]:
        """At most so many of those last told before ``place``; they count as told now."""
        found: list[Connection] = []
        place = min(place, head)
        while self._told and len(found) < most:
            id, told = next(iter(self._told.items()))
            if told >= place and told.epoch == place.epoch:
                break
            self._told[id] = head
            self._told.move_to_end(id)
            found.append(self._connections[id])
        return found

    def may_show(self, at: float, now: float) -> list[Connection]:
        """The connections whose pages may have been rendered around a commit at ``at``.

        Both in seconds since the epoch, ``now`` being when it was reported.
        """
        if now - at > YOUNG_SECONDS:
            return [each for each in self if each.may_show(at)]
        for each in list(self._young.values()):
            if each.doubtful_until < now - YOUNG_SECONDS:
                del self._young[each.id]
        return [each for each in self._young.values() if each.may_show(at)]

    def get(self, id: str) -> Connection | None:
        return self._connections.get(id)

    def pop(self, id: str) -> Connection | None:
        connection = self._connections.pop(id, None)
        self._young.pop(id, None)
        self._told.pop(id, None)
        if connection is not None:
            connection.closed = True
        return connection
