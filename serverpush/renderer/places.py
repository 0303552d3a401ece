"""Where and how something was raised, in one line."""

from __future__ import annotations

import traceback
from pathlib import Path

import django

import serverpush

# A place in here is never where the project's mistake is.
_LIBRARIES = tuple(str(Path(each.__path__[0])) for each in (django, serverpush))
_LENGTH = 300


def raised(error: BaseException) -> str:
    """``raised ValueError: … (module.py, line 3)``, the place being the project's own."""
    return f"raised {sentence(error)}{_place(error)}"


def sentence(error: BaseException) -> str:
    """The error's kind and text, on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001
        text = "(its text can't be had)"
    kind = type(error).__name__
    return (f"{kind}: {text}" if text else kind)[:_LENGTH]


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    # Only the last call tells; what called the serializer is always the same.
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
