"""``python -m tests.chaos.table``: write what the fault tests measured into the docs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.watching import machine
from tests.chaos.conftest import FIGURES

TESTS = 13
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "guarantees.md"
PLACE = re.compile(r"(<!-- figures:begin -->\n).*?(<!-- figures:end -->)", re.DOTALL)


class Missing(Exception):
    """Tests that have left no figures."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers

    def __str__(self) -> str:
        return f"no figures of test {', '.join(map(str, self.numbers))}: run make chaos"


def rows(folder: Path) -> list[dict[str, Any]]:
    """What each test left in ``folder``, in order; raises ``Missing``."""
    paths = {number: folder / f"{number:02}.json" for number in range(1, TESTS + 1)}
    missing = [number for number, path in paths.items() if not path.exists()]
    if missing:
        raise Missing(missing)
    return [json.loads(path.read_text()) for path in paths.values()]


def table(rows: list[dict[str, Any]], where: str) -> str:
    """The rows as Markdown; ``where`` says what they were measured on."""
    lines = [f"| {each['number']} | {each['what']} | {each['figures']} |\n" for each in rows]
    head = "| | what was done to it | what came of it |\n|---|---|---|\n"
    return f"\nMeasured on {where}.\n\n{head}{''.join(lines)}\n"


def write(page: Path, text: str) -> None:
    """Put a table between the marks of a page; raises ``ValueError`` where it has none."""
    written, places = PLACE.subn(lambda found: found[1] + text + found[2], page.read_text())
    if places != 1:
        raise ValueError(f"{page} has {places} places for figures, not one")
    page.write_text(written)


def main() -> None:
    try:
        write(PAGE, table(rows(FIGURES), machine()))
    except Missing as error:
        sys.exit(str(error))
    print(f"written to {PAGE.relative_to(PAGE.parents[2])}")


if __name__ == "__main__":
    main()
