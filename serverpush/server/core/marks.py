"""Marks: what tells the updates of one page apart, in the ids of their events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2s

from serverpush.protocol import Dependency

# Characters of a digest that are enough among the updates of one page.
SHORT = 8


def digests(dependencies: Sequence[Dependency]) -> list[str]:
    """What tells each from all others, of whatever page, but for the keys that it recorded."""
    return [_digest(each) for each in dependencies]


def marks(dependencies: Sequence[Dependency]) -> list[str]:
    """The mark of each.

    Made of what an update is, not of its place: a view that runs again may give its
    page others beside it, and an event that was sent before is still known by its id.
    """
    return [each[:SHORT] for each in digests(dependencies)]


def _digest(dependency: Dependency) -> str:
    *told, _keys = dependency.to_json()
    return blake2s(json.dumps(told).encode(), digest_size=16).hexdigest()
