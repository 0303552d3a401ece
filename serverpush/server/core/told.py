"""What was told last: a result that is the same again is not sent again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import count

from serverpush.protocol import Key

Saying = tuple[str, Key | None, int | None]
"""An update, by its mark, an instance, None for a page as a whole, and a result's digest."""

# Events by name of which the last is kept; a page has hardly more.
MAX_NAMES = 100
_stamps = count()


@dataclass(frozen=True, slots=True)
class Word:
    """What an event said. ``upto`` is the serial number of who joined a cohort last."""

    saying: Saying
    stamp: int
    upto: int = 0


class Told:
    """The last word by each event's name.

    By no more than that: what an event shows, another of the same name may show no more,
    whichever update and instance it is of.
    """

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: OrderedDict[str, Word] = OrderedDict()

    def get(self, name: str) -> Word | None:
        return self._words.get(name)

    def note(self, name: str, saying: Saying, upto: int = 0) -> None:
        self._words[name] = Word(saying, next(_stamps), upto)
        self._words.move_to_end(name)
        if len(self._words) > MAX_NAMES:
            self._words.popitem(last=False)

    def forget(self, name: str) -> None:
        self._words.pop(name, None)

    def clear(self) -> None:
        self._words.clear()
