"""One defence: a fact, our answer, and how the answer is taken out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


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

    def take_out(self) -> None:
        """Call ``remove``, and see that whatever replaces a function can be called as that was.

        Where it can't be, tests would fail by that, whatever they test.
        """
        before = list(_functions())
        self.remove()
        for owner, name, function in before:
            found = vars(owner).get(name)
            if found is not function and callable(found):
                _check(f"{self.name}: {owner.__name__}.{name}", function, found)


def _functions() -> Iterator[tuple[Any, str, Any]]:
    """The functions of the package's modules and classes: where each is, by name, and itself."""
    modules = [each for name, each in sys.modules.items() if name.startswith("serverpush.")]
    owners = [*modules, *(kind for each in modules for kind in _classes(each))]
    for owner in owners:
        for name, each in vars(owner).items():
            if inspect.isfunction(each):
                yield owner, name, each


def _classes(module: Any) -> Iterator[type]:
    return (each for each in vars(module).values() if inspect.isclass(each))


def _check(what: str, function: Any, instead: Any) -> None:
    parameters = inspect.signature(function).parameters.values()
    named = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
    plain = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    try:
        inspect.signature(instead).bind(*plain, **named)
    except TypeError as error:
        raise TypeError(f"{what} can't be called as before: {error}") from None


def tested_in(folder: str) -> Callable[..., Defence]:
    """A function that makes defences whose tests are in a folder."""

    def defence(fact: str, answer: str, remove: Callable[[], None], *tests: str) -> Defence:
        return Defence(fact, answer, remove, tuple(folder + test for test in tests))

    return defence
