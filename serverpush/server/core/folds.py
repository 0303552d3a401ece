"""Folds: changes of an instance that were decided together, with one question."""

from __future__ import annotations

from collections import OrderedDict

from serverpush.protocol import Key, Position

MAX_FOLDS = 10_000


class Folds:
    """The last of each instance; of those that are forgotten it is known how far they reach."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[str, Key], tuple[Position, Position]] = OrderedDict()
        # Up to here some may have been forgotten.
        self._horizon: Position | None = None

    def note(self, model: str, pk: Key, begin: Position, end: Position) -> None:
        """Note that what an instance met between two positions was never asked."""
        earlier = self._places.pop((model, pk), None)
        self._places[model, pk] = (begin, end)
        if len(self._places) > MAX_FOLDS:
            _, earlier = self._places.popitem(last=False)
        if earlier is not None and (self._horizon is None or self._horizon < earlier[1]):
            self._horizon = earlier[1]

    def was_asked(self, model: str, pk: Key, at: Position) -> bool:
        """Do the noted moves tell what an instance met at an earlier position?"""
        if self._horizon is not None and at < self._horizon:
            return False
        begin, end = self._places.get((model, pk), (at, at))
        return not begin < at < end
