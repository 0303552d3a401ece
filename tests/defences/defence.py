"""One defence: a fact, our answer, and how the answer is taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Defence:
    """One fact and its answer; ``remove`` takes the answer out of this process for good."""

    fact: str
    answer: str
    remove: Callable[[], None]
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.remove.__name__.replace("_", "-")


def tested_in(folder: str) -> Callable[..., Defence]:
    """A function that makes defences whose tests are in a folder."""

    def defence(fact: str, answer: str, remove: Callable[[], None], *tests: str) -> Defence:
        return Defence(fact, answer, remove, tuple(folder + test for test in tests))

    return defence
