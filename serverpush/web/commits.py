"""Commits: what is reported once a transaction is committed, and never when it rolls back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from django.db import connections


def after_commit(report: Callable[..., None], using: str, *args: Any) -> None:
    """Call ``report`` when what was written is committed: now, where that has been done.

    Where autocommit is off, Django never says when a commit happens: too early
    costs a rendering, not at all a stale page.
    """
    connection: Any = connections[using]
    if not connection.in_atomic_block:
        report(*args)
        return

    # No partial: Django asks a robust callback that failed for its qualified name.
    def reported() -> None:
        report(*args)

    reported.is_report = True  # type: ignore[attr-defined]
    connection.on_commit(reported, robust=True)
    # In a TestCase nothing commits, and captureOnCommitCallbacks goes by the order.
    if not any(block._from_testcase for block in connection.atomic_blocks[:1]):
        _put_first(connection.run_on_commit)


def _put_first(callbacks: list[Any]) -> None:
    """Move the last one before those of others.

    Django drops what comes after a callback that fails and is not robust.
    """
    last = callbacks.pop()
    callbacks.insert(bisect_left(callbacks, True, key=_is_of_others), last)


def _is_of_others(callback: tuple[Any, Callable[[], None], bool]) -> bool:
    return not getattr(callback[1], "is_report", False)
