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
from serverpush.server.core.marks import marks

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
        """Do what the page's script does with an event; who has to refresh does that later."""
        if isinstance(action, Refresh):
            self.refreshed = True
            return
        if self.refreshed:
            return
        meta = action.meta
        if action.page is not None:
            self.page = action.page
        if meta["id"] not in self.applied:
            self.applied.add(meta["id"])
            self._show(action)
        safe = Position.parse(meta["safe"])
        assert self.since is None or safe.epoch != self.since.epoch or safe >= self.since
        self.since = safe

    def check(self, world: World) -> None:
        """Does the page show what the world is like, but for what it did not ask for?"""
        if self.refreshed:
            return
        if self.is_view:
            assert self.shown == world.shown(), (self, world.shown())
            return
        for place, each in enumerate(self.page.dependencies):
            expected = rows_of(world, each.condition)
            shown = self.shown[place]
            if "removed" not in each.on:
                shown = {pk: row for pk, row in shown.items() if pk in expected}
            assert shown == expected, (self, place, expected)

    def _show(self, action: Send) -> None:
        if self.is_view:
            self.shown = json.loads(action.payload)
            return
        pk, mark = action.meta["pk"], action.meta["id"].partition(".")[2]
        for place, each in enumerate(marks(self.page.dependencies)):
            if each != mark:
                continue
            if action.meta["action"] == "removed":
                self.shown[place].pop(pk, None)
            else:
                self.shown[place][pk] = json.loads(action.payload)
