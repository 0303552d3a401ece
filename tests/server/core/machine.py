"""Parts of the state machine over the core: rules that are counted, and browsers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from hypothesis.stateful import rule

from serverpush.protocol import Condition, Page, Position, Visitor
from serverpush.server.core.actions import Refresh, Send

from .world import World, meets

STEPS: Counter[str] = Counter()


def step(**strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule that counts, in ``STEPS``, how often it was followed."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def counted(self: Any, **arguments: Any) -> None:
            STEPS[function.__name__] += 1
            function(self, **arguments)

        return rule(**strategies)(counted)

    return decorate


def rows_of(world: World, condition: Condition) -> dict[int, Any]:
    """The rows that meet a condition."""
    return {pk: row for pk, row in world.rows.items() if meets(row, condition)}


@dataclass
class Client:
    """A browser: what its page shows, what it has applied, how far it is safe."""

    id: str
    page: Page
    visitor: Visitor
    # For each update of the page, the rows that it shows; of a view, all at once.
    shown: list[Any]
    is_view: bool = False
    since: Position | None = None
    applied: set[str] = field(default_factory=set)
    connected: bool = False
    refreshed: bool = False

    def take(self, action: Send | Refresh) -> None:
        """Do what the page's script does with an event."""
        if isinstance(action, Refresh):
            self.refreshed = True
            return
        meta = action.meta
        if action.page is not None:
            self.page = action.page
        if meta["id"] not in self.applied:
            self.applied.add(meta["id"])
            self._show(action)
        safe = Position.parse(meta["safe"])
        self.since = max(self.since or safe, safe)

    def check(self, world: World) -> None:
        """Does the page show what the world is like?"""
        if self.is_view:
            assert self.shown == world.shown(), (self, world.shown())
            return
        for place, each in enumerate(self.page.dependencies):
            expected = rows_of(world, each.condition)
            assert self.shown[place] == expected, (self, place, expected)

    def _show(self, action: Send) -> None:
        if self.is_view:
            self.shown = json.loads(action.payload)
            return
        place = int(action.meta["id"].partition(".")[2] or 0)
        pk = action.meta["pk"]
        if action.meta["action"] == "removed":
            self.shown[place].pop(pk, None)
        else:
            self.shown[place][pk] = json.loads(action.payload)
