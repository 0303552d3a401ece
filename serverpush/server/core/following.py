"""Following: which conditions a connection's page has, and how it is brought over to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from serverpush.protocol import Dependency, Page, Position
from serverpush.server.core.cohorts import Audience, Cohorts
from serverpush.server.core.connection import Connection
from serverpush.server.core.index import Index
from serverpush.server.core.log import Instance, Log
from serverpush.server.core.marks import SHORT, digests
from serverpush.server.core.matchings import Matchings
from serverpush.server.core.owed import Owed
from serverpush.server.core.renderings import Renderings, Run
from serverpush.server.core.replay import Changes, missed_changes, replay
from serverpush.server.core.watched import Watched


class Following:
    """Lets connections follow what their pages depend on.

    Arguments:
        log: what a page may have missed.
        index: the conditions.
        matchings, renderings: take what a connection has to be brought over.
        at: the position for a time by the site's clock, in seconds since the epoch.
    """

    def __init__(
        self,
        log: Log,
        index: Index,
        matchings: Matchings,
        renderings: Renderings,
        at: Callable[[float], Position],
    ) -> None:
        self._log = log
        self._index = index
        self._matchings = matchings
        self._renderings = renderings
        self._at = at
        self._cohorts = Cohorts()

    def missed(self, page: Page, since: Position) -> list[tuple[Instance, Changes]] | None:
        """The changes that a page has to be brought over; None where they are too many."""
        return missed_changes(page, since, self._at(page.time), self._log, self._index)

    def watch(self, connection: Connection, changed: Collection[Any] | None) -> None:
        """Watch a page's conditions; its keys count if it can be brought over what it missed."""
        page = connection.page
        rendered = self._at(page.time)
        follow = (
            changed is not None and self._log.covers(rendered) and not self._log.has_gap(rendered)
        )
        watched = [
            self._index.watch(
                each.condition,
                each.keys if follow else None,
                self._log.head,
                page.recorded + connection.margin,
            )
            for each in page.dependencies
        ]
        if follow:
            for each, dependency in zip(watched, page.dependencies, strict=True):
                # An answer may have been ahead of the log, and of this page.
                for pk in dependency.keys or ():
                    if each.members is not None and pk not in each.members:
                        self._index.doubt(each, pk)
        told = digests(page.dependencies)
        key = (tuple(each.number for each in watched), tuple(told), connection.common)
        self._cohorts.join(connection, key, watched, [each[:SHORT] for each in told])

    def unwatch(self, connection: Connection) -> None:
        """Let a connection follow nothing."""
        cohort = self._cohorts.leave(connection)
        if cohort is not None:
            for watched in cohort.watched:
                self._index.unwatch(watched, cohort)

    def bring(
        self,
        connection: Connection,
        places: Collection[int],
        changed: list[tuple[Instance, Changes]],
        since: Position,
        returns: bool = False,
    ) -> None:
        """Bring the updates at these places of a connection's page over what it missed."""
        for each in replay(connection, places, changed, since, self._index, returns=returns):
            if isinstance(each, Owed):
                self._renderings.owe(each)
            else:
                self._matchings.add_missed(each)

    def replace(
        self, owed: list[Owed], page: Page | None, run: Run
    ) -> tuple[dict[str, Page], list[str]]:
        """Give the pages whose view ran again the dependencies it has now.

        Returns the pages by connection, and the connections that have to refresh: they
        came too late, or nobody knows which dependencies are theirs.
        """
        replaced: dict[str, Page] = {}
        overdue: list[str] = []
        if page is None:
            return replaced, overdue
        lead = run.lead
        changed = not _same(lead.page.dependencies, page.dependencies)
        for connection in _unlike(owed, page.dependencies):
            if run.is_by_vary and connection.own != lead.own:
                # Who shares a rendering by `vary` may have other dependencies than its lead.
                if changed:
                    overdue.append(connection.id)
                continue
            if not self._renew(connection, page, run.started):
                overdue.append(connection.id)
            replaced[connection.id] = connection.page
        return replaced, overdue

    def _renew(self, connection: Connection, page: Page, started: Position) -> bool:
        """Let a page have other dependencies; what it keeps goes on undisturbed.

        Returns whether it could be brought over what came after ``started``.
        """
        earlier, kept = connection.watched, set(_updates(connection))
        for watched in earlier:
            self._index.keep(watched, True)
        self.unwatch(connection)
        connection.page = connection.page.with_dependencies(
            page.dependencies, page.time, page.recorded
        )
        changed = None
        if self._log.covers(started):
            changed = self.missed(connection.page, started)
        self.watch(connection, changed)
        updates = enumerate(_updates(connection))
        new = [place for place, each in updates if each not in kept]
        self.bring(connection, new, changed or [], started)
        for watched in earlier:
            self._index.keep(watched, False)
        return changed is not None


def _updates(connection: Connection) -> Iterator[tuple[Watched, str]]:
    """The updates of its page, place by place: their conditions and their marks."""
    return zip(connection.watched, connection.marks, strict=True)


def _unlike(owed: list[Owed], dependencies: tuple[Dependency, ...]) -> list[Connection]:
    """Those who wait for it and whose pages have other dependencies than these."""
    found: dict[Connection, None] = {}
    for each in owed:
        connections = each.connections
        if isinstance(each.to, Audience) and not each.to.left:
            # They have all the same.
            del connections[1:]
            if any(not _same(one.page.dependencies, dependencies) for one in connections):
                connections = each.connections
        for one in connections:
            if one not in found and not _same(one.page.dependencies, dependencies):
                found[one] = None
    return list(found)


def _same(one: tuple[Dependency, ...], other: tuple[Dependency, ...]) -> bool:
    """Are the dependencies the same but for the keys that were recorded?"""
    return [replace(each, keys=None) for each in one] == [
        replace(each, keys=None) for each in other
    ]
