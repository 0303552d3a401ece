"""Questions for renderers: many in one job, one job at a time, and again if it failed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from serverpush.server.core.waits import is_over

Question = TypeVar("Question")

# Seconds after a job that failed; doubled by each that fails next.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class Questions(Generic[Question]):
    """What is to be asked, in the order in which it came up.

    After a job that failed the next has half as many questions, and those that failed
    wait behind the others: one that can't be answered does not keep all others waiting.

    Arguments:
        most: questions of one job.
    """

    def __init__(self, most: int) -> None:
        self._most = self._size = most
        # Each with its number, which grows.
        self._due: OrderedDict[Question, int] = OrderedDict()
        self._asked: OrderedDict[Question, int] = OrderedDict()
        # Those that have no answer for now.
        self._later: dict[Question, int] = {}
        self._again_at = 0.0
        self._count = 0
        self._pause = 0.0
        self._resume_at: float | None = None

    @property
    def last(self) -> int:
        """The number of the question that came up last."""
        return self._count

    @property
    def answered(self) -> int:
        """The number up to which all have been answered."""
        open = (*self._asked.values(), *self._due.values(), *self._later.values())
        return min(open) - 1 if open else self._count

    def ask(self, question: Question) -> None:
        """Let something be asked, unless it is going to be anyway."""
        if question not in self._due:
            self._count += 1
            self._due[question] = self._count

    def take(self, matters: Callable[[Question], bool]) -> tuple[Question, ...]:
        """The questions of the next job, without those that don't matter any more."""
        if self._asked or self._resume_at is not None:
            return ()
        while self._due and len(self._asked) < self._size:
            question, number = self._due.popitem(last=False)
            if matters(question):
                self._asked[question] = number
        return tuple(self._asked)

    def taken(self, unknown: Iterable[Question] = ()) -> None:
        """The job has its answers, but for those in ``unknown``: they are asked again later."""
        for question in unknown:
            self._later[question] = min(
                self._asked[question], self._later.get(question, self._count)
            )
        self._asked.clear()
        self._pause = 0.0
        self._size = min(self._most, 2 * self._size)

    def failed(self, now: float) -> None:
        """The job has none: ask again, later. ``now`` in seconds since the epoch."""
        self._pause = min(max(FIRST_PAUSE, 2 * self._pause), LONGEST_PAUSE)
        self._resume_at = now + self._pause
        self._size = max(1, len(self._asked) // 2)
        self._ask_again(self._asked)

    def tick(self, now: float) -> None:
        """Let be asked again what failed long enough ago."""
        if self._resume_at is not None and is_over(self._resume_at, self._pause, now):
            self._resume_at = None
        if self._later and is_over(self._again_at, LONGEST_PAUSE, now):
            self._again_at = now + LONGEST_PAUSE
            self._ask_again(self._later)

    def _ask_again(self, questions: dict[Question, int]) -> None:
        """Put them behind the others, with the numbers that they had."""
        for question, number in questions.items():
            number = min(number, self._due.pop(question, number))
            self._due[question] = number
        questions.clear()
