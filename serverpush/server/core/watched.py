"""What is watched: one live condition, who has it, and which instances meet it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serverpush.protocol import Condition, Key, Position

if TYPE_CHECKING:
    from serverpush.server.core.cohorts import Cohort

MAX_MOVES = 1000


@dataclass(slots=True, eq=False)
class Watched:
    """One live condition, shared by everybody who has it.

    ``members`` are the keys that meet it, None where they are not followed
    (too many to list, or a condition that needs no list). ``unsure`` are the keys
    of which nobody knows whether all watchers show them: the next change tells.
    ``known`` is the position since which every move in and out has been noted in
    ``moves``.
    ``watchers`` maps a cohort to the places of its updates. ``listed`` is
    until when, in seconds since the epoch, changes may have been committed that were
    in the list of members before they were reported, and ``reread`` the same for what a
    view has read that ran again.
    """

    number: int
    condition: Condition
    members: set[Key] | None
    known: Position
    moves: deque[tuple[Position, Key, bool]] = field(
        default_factory=lambda: deque(maxlen=MAX_MOVES)
    )
    watchers: dict[Cohort, list[int]] = field(default_factory=dict)
    unsure: set[Key] = field(default_factory=set)
    listed: float = 0
    reread: float = 0
    is_kept: bool = False

    @property
    def connections(self) -> Iterator[str]:
        """The ids of those who have it."""
        return (each.id for cohort in self.watchers for each in cohort.members)

    def was_ahead(self, at: float) -> bool:
        """May its members have held a change of that time before it was reported?"""
        return self.members is not None and at <= self.listed

    def was_reread(self, at: float) -> bool:
        """May a view have read what a change of that time made, or undid?"""
        return self.members is not None and at <= self.reread

    @property
    def is_asked(self) -> bool:
        """Is it for an instance's row to decide?"""
        return not self.condition.is_any and self.condition.key is None

    def was_member(self, pk: Key, at: Position) -> bool | None:
        """Did the instance meet the condition at an earlier position? None: not known."""
        if self.members is None or at < self.known or pk in self.unsure:
            return None
        member = pk in self.members
        for position, moved, joined in reversed(self.moves):
            if position <= at:
                break
            if moved == pk:
                member = not joined
        return member
