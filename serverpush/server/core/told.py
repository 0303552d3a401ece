"""What was told last: a result that is the same again is not sent again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import count
from math import inf

from serverpush.protocol import Key

Saying = tuple[str, Key | None, int | None]
"""An update, by its mark, an instance, None for a page as a whole, and a result's digest."""

# Events by name of which the last is kept; a page has hardly more.
MAX_NAMES = 100
_stamps = count()


@dataclass(frozen=True, slots=True)
class Word:
    """What an event said; None where it is not known what is shown since.

    ``upto`` is the serial number of who joined a cohort last.
    """

    saying: Saying | None
    stamp: int
    upto: float = 0


class Told:
    """The last word by each event's name.

    By no more than that: what an event shows, another of the same name may show no more,
    whichever update and instance it is of.
    """

    __slots__ = ("_unknown", "_words")

    def __init__(self) -> None:
        self._words: OrderedDict[str, Word] = OrderedDict()
        # What holds for names that are not here.
        self._unknown: Word | None = None

    def get(self, name: str) -> Word | None:
        return self._words.get(name, self._unknown)

    def note(self, name: str, saying: Saying | None, upto: float = 0) -> None:
        self._words[name] = Word(saying, next(_stamps), upto)
        self._words.move_to_end(name)
        if len(self._words) > MAX_NAMES:
            self._words.popitem(last=False)
            self._unknown = Word(None, next(_stamps), inf)

    def forget(self, name: str) -> None:
        """What was said before by this name holds no longer, whoever said it."""
        self.note(name, None, inf)

    def clear(self) -> None:
        """The same by all names."""
        self._words.clear()
        self._unknown = Word(None, next(_stamps), inf)
