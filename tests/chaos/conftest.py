"""The sizes of the fault tests, and the line of figures that each prints.

``make chaos`` runs them at full size; the others run them small.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

Value = TypeVar("Value")

FIGURES = Path(__file__).parents[2] / "build" / "chaos"


@dataclass(frozen=True)
class Size:
    """Which of two sizes a test is run at."""

    is_full: bool

    def __call__(self, small: Value, full: Value) -> Value:
        return full if self.is_full else small


@dataclass
class Figures:
    """What a test measured, told in one line and kept for the table in the docs."""

    size: Size
    capture: pytest.CaptureFixture[str]

    def say(self, number: int, what: str, **measured: Any) -> None:
        """Print the figures of the guarantees' test ``number``.

        ``what`` is the fault in a few words; the names of ``measured`` are those
        of the figures, with ``_`` for a space, its values texts with their units.
        """
        told = ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in measured.items())
        with self.capture.disabled():
            print(f"\nchaos {number}: {what}: {told}")
        if self.size.is_full:
            FIGURES.mkdir(parents=True, exist_ok=True)
            row = {"number": number, "what": what, "figures": told}
            (FIGURES / f"{number:02}.json").write_text(json.dumps(row))


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Size:
    return Size(request.config.getoption("--full"))


@pytest.fixture
def figures(size: Size, capsys: pytest.CaptureFixture[str]) -> Figures:
    return Figures(size, capsys)
