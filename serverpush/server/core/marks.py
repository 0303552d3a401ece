"""Marks: what tells the updates of one page apart, in the ids of their events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2s

from serverpush.protocol import Dependency


def marks(dependencies: Sequence[Dependency]) -> list[str]:
    """The mark of each.

    Made of what an update is, not of its place: a view that runs again may give its
    page others beside it, and an event that was sent before is still known by its id.
    """
    return [_mark(each) for each in dependencies]


def _mark(dependency: Dependency) -> str:
    *told, _keys = dependency.to_json()
    return blake2s(json.dumps(told).encode(), digest_size=4).hexdigest()
