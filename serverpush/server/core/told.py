"""What was told last: a result that is the same again is not sent again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import count

from serverpush.protocol import Key

What = tuple[str, Key | None]
"""An update, by its mark, and an instance; None for a page as a whole."""

# Of the results that a cohort, and that a connection by itself, was told: the latest ones.
MAX_TOGETHER = 1000
MAX_ALONE = 8
_stamps = count()


@dataclass(frozen=True, slots=True)
class Word:
    """A result, by its digest. ``upto`` is the serial number of who joined a cohort last."""

    digest: int
    stamp: int
    upto: int = 0


class Told:
    """The last word on each update and instance."""

    __slots__ = ("_most", "_words")

    def __init__(self, most: int) -> None:
        self._most = most
        self._words: OrderedDict[What, Word] = OrderedDict()

    def get(self, what: What) -> Word | None:
        return self._words.get(what)

    def note(self, what: What, digest: int, upto: int = 0) -> None:
        self._words[what] = Word(digest, next(_stamps), upto)
        self._words.move_to_end(what)
        if len(self._words) > self._most:
            self._words.popitem(last=False)

    def forget(self, what: What) -> None:
        self._words.pop(what, None)
