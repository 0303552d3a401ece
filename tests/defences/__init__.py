"""Defences: what would go wrong, what is done about it, and the tests that show it.

``docs/reference/defences.md`` holds the same as tables. To see a test fail without its
defence: ``python -m pytest -p tests.without --without NAME TEST``.
"""

from __future__ import annotations

from collections.abc import Iterable

from .defence import Defence
from .libraries import LIBRARIES
from .promises import PROMISES
from .several import SEVERAL

DEFENCES = [*LIBRARIES, *PROMISES, *SEVERAL]
BY_NAME = {defence.name: defence for defence in DEFENCES}


def table(defences: Iterable[Defence]) -> list[str]:
    """The lines of a table in the docs."""
    lines = ["| the fact | what we do | taken out by | and then fails |", "|---|---|---|---|"]
    for each in defences:
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in each.tests)
        lines.append(f"| {each.fact} | {each.answer} | `{each.name}` | {tests} |")
    return lines
