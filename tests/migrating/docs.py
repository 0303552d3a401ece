"""What the migration pages say, read from them."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "how-to"
SYSTEMS = ["pushnote", "djazator", "django-pushserver", "django-pushy"]


def text(system: str) -> str:
    return (FOLDER / f"migrate-from-{system}.md").read_text()


def blocks(system: str, language: str) -> list[str]:
    """The page's blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(system), re.S | re.M)


def lines(system: str) -> dict[str, str]:
    """The rows of the page's table: what is written there, and here."""
    rows = re.findall(r"^\| (.*?) \| (.*?) \|$", text(system), re.M)
    return dict(rows[1:])


def code(cell: str) -> list[str]:
    """What a cell has in backticks."""
    return re.findall(r"`([^`]+)`", cell)
