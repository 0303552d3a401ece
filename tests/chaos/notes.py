"""Notes: numbered messages to everybody, each of which every client hears once, in order."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Seconds from a page's request to where nothing that was sent before it may be replayed.
DOUBT = 1.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A note that the site sent; ``at`` is by when, in seconds since the epoch."""

    number: int
    at: float
    is_committed: bool = True


@dataclass(frozen=True, slots=True)
class Heard:
    """A client was handed a note."""

    id: str
    number: int


class Notes:
    """What was sent, in its order."""

    def __init__(self, sent: Iterable[Sent]) -> None:
        committed = [each for each in sent if each.is_committed]
        self.numbers = [each.number for each in committed]
        self._times = [each.at for each in committed]

    def first_after(self, at: float) -> int:
        """The place of the first that a page, asked for at this time, has to hear."""
        return bisect.bisect_right(self._times, at + DOUBT)

    def is_behind(self, loaded: float, last: int) -> bool:
        """Does a page that was loaded then, and heard this number last, not have the last?"""
        return self.first_after(loaded) < len(self.numbers) and last < self.numbers[-1]


class Listener:
    """One client, to judge what it hears next by."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._places = {number: place for place, number in enumerate(notes.numbers)}
        self._last = -1
        # The place of the next that it has to hear; where it lost some, any later one will do.
        self._due = 0
        self._may_skip = True

    def loaded(self, at: float) -> None:
        """It loaded its page, which was asked for at this time."""
        self._due = max(self._last + 1, self._notes.first_after(at))
        self._may_skip = False

    def told(self) -> None:
        """It was told that something was missed."""
        self._may_skip = True

    def hear(self, note: Heard) -> Iterator[str]:
        """What is wrong with this note."""
        place = self._places.get(note.number)
        if place is None:
            yield f"note {note.number} was never sent"
        elif place <= self._last:
            yield f"note {note.number} after {self._notes.numbers[self._last]}"
        else:
            if place > self._due and not self._may_skip:
                yield f"note {note.number}, and not {self._notes.numbers[self._due]} before it"
            self._last, self._due = place, max(self._due, place + 1)

    def end(self) -> Iterator[str]:
        """What it has not heard in the end."""
        if self._due < len(self._notes.numbers) and not self._may_skip:
            yield f"not note {self._notes.numbers[self._due]}"
