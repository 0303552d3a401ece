"""Floors: positions that may not be passed yet."""

from __future__ import annotations

import heapq

from serverpush.protocol import Position


class Floors:
    """The lowest of a changing set of positions.

    ``held`` has them by ticket.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Position, int]] = []
        self.held: dict[int, Position] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self.held)

    def hold(self, floor: Position) -> int:
        """Add a position; the ticket that is returned takes it out again."""
        self._count += 1
        self.held[self._count] = floor
        heapq.heappush(self._heap, (floor, self._count))
        return self._count

    def release(self, ticket: int) -> None:
        self.held.pop(ticket, None)
        if len(self._heap) > 2 * len(self.held) + 16:
            self._heap = [(floor, number) for number, floor in self.held.items()]
            heapq.heapify(self._heap)

    def lowest(self) -> Position | None:
        while self._heap and self._heap[0][1] not in self.held:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
