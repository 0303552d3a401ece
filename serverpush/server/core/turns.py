"""Turns: sources of work, none of which keeps the others waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Asks sources in turn; one that gave something is asked last from then on."""

    def __init__(self, *sources: Callable[[], T | None]) -> None:
        self._sources = list(sources)

    def next(self) -> T | None:
        """What the first source gives that has something; None where none has."""
        for source in self._sources:
            found = source()
            if found is not None:
                self._sources.remove(source)
                self._sources.append(source)
                return found
        return None
