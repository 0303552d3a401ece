"""Replay: what one connection's page has not seen of what is in the log."""

from __future__ import annotations

from collections.abc import Iterator

from serverpush.protocol import Change, Key, Position
from serverpush.server.core.index import Index, Watched
from serverpush.server.core.log import Log
from serverpush.server.core.matchings import Missed
from serverpush.server.core.owed import Owed
from serverpush.server.core.registry import Connection
from serverpush.server.core.steps import Step

_Changes = list[tuple[Position, Change]]


def replay(
    connection: Connection, since: Position, log: Log, index: Index
) -> Iterator[Owed | Missed]:
    """What a connection is to be brought over, one item for each update and instance.

    What came after ``since`` the client has to be told. What came between the
    page's rendering and ``since`` it has been told, but the membership that its
    page recorded is older than that, and has to be brought up to date.
    """
    rendered = log.at(connection.page.time)
    begin = min(rendered, since) if log.covers(rendered) else since
    for (model, pk), changes in _by_instance(log, begin).items():
        family = index.family(model)
        missed = [each for each in changes if each[0] > since]
        step = _step(missed or changes, since)
        for place, watched in enumerate(connection.watched):
            condition = watched.condition
            if condition.model not in family or condition.key not in (None, pk):
                continue
            if watched.is_asked:
                before = _before(connection, place, watched, pk, changes, since)
                ticket = connection.floors.hold(since)
                yield Missed(connection, place, watched, pk, step, before, bool(missed), ticket)
            elif missed:
                before, after = step.first != "created", missed[-1][1].action != "deleted"
                yield Owed.at(connection, place, pk, step, before, after)


def _by_instance(log: Log, begin: Position) -> dict[tuple[str, Key], _Changes]:
    found: dict[tuple[str, Key], _Changes] = {}
    for position, entry in log.since(begin):
        if isinstance(entry, Change):
            found.setdefault((entry.model, entry.pk), []).append((position, entry))
    return found


def _step(changes: _Changes, since: Position) -> Step:
    return Step(
        first=changes[0][1].action,
        at=min(change.at for _, change in changes),
        floor=since,
        position=changes[-1][0],
    )


def _before(
    connection: Connection,
    place: int,
    watched: Watched,
    pk: Key,
    changes: _Changes,
    since: Position,
) -> bool | None:
    """Did the client have the instance at ``since``? None: not known.

    What the page recorded holds for an instance that was not touched between
    its rendering and the client's position.
    """
    member = watched.was_member(pk, since)
    if member is not None:
        return member
    keys = connection.page.dependencies[place].keys
    if keys is None or watched.members is None:
        return None
    untouched = all(position > since for position, _ in changes)
    return pk in keys if untouched else None
