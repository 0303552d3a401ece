"""Waits: when one is over, by a clock that may be set back."""

from __future__ import annotations

# By which a sum of times may differ from what was added.
SLACK = 1.0


def is_over(until: float, seconds: float, now: float) -> bool:
    """Is a wait over that began ``seconds`` before ``until``, or earlier?

    It is, too, where the clock was set back since: nobody waits until it is as late again.
    All three in seconds, two of them since the epoch.
    """
    return now >= until or until - now > seconds + SLACK
