"""Steps: changes of one instance, taken together."""

from __future__ import annotations

from dataclasses import dataclass

from serverpush.protocol import ChangeAction, Position


@dataclass(frozen=True, slots=True)
class Step:
    """One or more changes of one instance, taken together.

    ``first`` and ``at`` are the first one's action and when it was committed, in
    seconds since the epoch; ``floor`` is the position before it, and
    ``position`` the last one's. ``is_folded`` where there are several, and
    nobody knows what was between them; ``is_replayed`` where a client missed it.
    """

    first: ChangeAction
    at: float
    floor: Position
    position: Position
    is_folded: bool = False
    is_replayed: bool = False

    def join(self, other: Step) -> Step:
        """Both together: a step that is replayed may be the earlier one."""
        begin = self if self.floor <= other.floor else other
        return Step(
            begin.first,
            min(self.at, other.at),
            begin.floor,
            max(self.position, other.position),
            True,
            self.is_replayed or other.is_replayed,
        )
