"""Whether changes made right here are reported: off in ``suppress()`` and in renderings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_suppressed: ContextVar[bool] = ContextVar("serverpush_suppressed", default=False)


def is_suppressed() -> bool:
    return _suppressed.get()


@contextmanager
def suppress() -> Iterator[None]:
    """Report no change that is made inside, in this thread or task."""
    token = _suppressed.set(True)
    try:
        yield
    finally:
        _suppressed.reset(token)
