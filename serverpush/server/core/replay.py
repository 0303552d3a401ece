"""Replay: what one connection's page has not seen of what is in the log."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from serverpush.protocol import Change, Key, Page, Position
from serverpush.server.core.connection import Connection
from serverpush.server.core.index import Index
from serverpush.server.core.log import Instance, Log
from serverpush.server.core.matchings import Missed
from serverpush.server.core.owed import Owed
from serverpush.server.core.steps import Step

Changes = list[tuple[Position, Change]]

# Instances that the database may be asked about for one connection; a page that
# has missed more is cheaper to load again.
MAX_INSTANCES = 200


def missed_changes(
    page: Page, since: Position, rendered: Position, log: Log, index: Index
) -> list[tuple[Instance, Changes]] | None:
    """The changes that a page has to be brought over; None where they are too many.

    What came after ``since`` the client has to be told. What came between
    ``rendered``, the page's rendering, and ``since`` it has been told, but the
    membership that its page recorded is older than that.
    """
    conditions = [each.condition for each in page.dependencies]
    models = {label for each in conditions for label in index.family(each.model)}
    asked = {
        label
        for each in conditions
        if not each.is_any and each.key is None
        for label in index.family(each.model)
    }
    begin = min(rendered, since) if log.covers(rendered) else since
    found: list[tuple[Instance, Changes]] = []
    count = 0
    for instance, changes in log.changes(begin, models):
        count += instance[0] in asked
        if count > MAX_INSTANCES:
            return None
        found.append((instance, changes))
    found.reverse()
    return found


def replay(
    connection: Connection,
    places: Collection[int],
    changed: list[tuple[Instance, Changes]],
    since: Position,
    index: Index,
    *,
    returns: bool,
) -> Iterator[Owed | Missed]:
    """What the updates at these places are to be brought over, one item for each instance.

    A client that ``returns`` may have applied some of what came after ``since``,
    its last safe position, so nothing is certain about what it shows.
    """
    for (model, pk), changes in changed:
        family = index.family(model)
        missed = [each for each in changes if each[0] > since]
        step = _step(missed or changes, since)
        for place in places:
            watched = connection.watched[place]
            condition = watched.condition
            if condition.model not in family or condition.key not in (None, pk):
                continue
            if watched.is_asked:
                before = _before(connection, place, pk, changes, since, index)
                ticket = connection.floors.hold(since)
                yield Missed(
                    connection, place, watched, pk, step, before, returns, bool(missed), ticket
                )
            elif missed:
                before, after = step.first != "created", missed[-1][1].action != "deleted"
                yield Owed.at(connection, place, pk, step, before, after, returns)


def _step(changes: Changes, since: Position) -> Step:
    return Step(
        first=changes[0][1].action,
        at=min(change.at for _, change in changes),
        floor=since,
        position=changes[-1][0],
        is_replayed=True,
    )


def _before(
    connection: Connection,
    place: int,
    pk: Key,
    changes: Changes,
    since: Position,
    index: Index,
) -> bool | None:
    """Did the client have the instance at ``since``? None: not known.

    What the page recorded holds for an instance that was not touched between its
    rendering and the client's position, unless it was listed late: it may have
    come to match while the page was rendered. Else the noted moves tell.
    """
    watched, keys = connection.watched[place], connection.page.dependencies[place].keys
    if keys is None or any(position <= since for position, _ in changes):
        later = (change.at for position, change in changes if position > since)
        asked = index.folds.was_asked(watched.condition.model, pk, since)
        if not asked or any(map(watched.was_ahead, later)):
            return None
        return watched.was_member(pk, since)
    listed = pk in keys
    listed_late = listed and any(connection.may_show(change.at) for _, change in changes)
    return None if watched.members is None or listed_late else listed
