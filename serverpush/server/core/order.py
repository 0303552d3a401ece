"""Order: what concerns one thing happens one after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)


class Order(Generic[Place]):
    """A line at each place, of which the first has its turn."""

    def __init__(self) -> None:
        self._lines: dict[Place, dict[Hashable, Callable[[], None]]] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._lines

    def __len__(self) -> int:
        """Places where somebody is in line."""
        return len(self._lines)

    def enter(self, place: Place, turn: Hashable, begin: Callable[[], None]) -> None:
        """Get in line; ``begin`` is called when it is this one's turn, which may be now."""
        line = self._lines.setdefault(place, {})
        line[turn] = begin
        if len(line) == 1:
            begin()

    def leave(self, place: Place, turn: Hashable) -> None:
        """Be done, or wait no longer; one that is not in line may leave, too."""
        line = self._lines.get(place, {})
        if turn not in line:
            return
        was_first = next(iter(line)) is turn
        del line[turn]
        if not line:
            del self._lines[place]
        elif was_first:
            next(iter(line.values()))()
