"""Sends: one rendering's result, addressed to all that it is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serverpush.protocol import Page, Position
from serverpush.server.core.actions import Send
from serverpush.server.core.owed import Owed


def sends(
    owed: Iterable[Owed], payload: str, pages: Mapping[str, Page], unsettled: Position
) -> Iterator[Send]:
    """One send for all connections that get exactly the same; releases what it is for.

    Arguments:
        owed: what the payload is for.
        pages: by connection, those whose dependencies were replaced.
        unsettled: the position up to which it is known whom each change affects.
    """
    for wave in _waves(owed):
        for each in wave:
            each.release()
        yield from _alike(wave, payload, pages, unsettled)


def _waves(owed: Iterable[Owed]) -> list[list[Owed]]:
    """No wave has two of one connection: the first must not tell that the last is there."""
    waves: list[list[Owed]] = []
    counts: dict[str, int] = {}
    for each in owed:
        number = counts.get(each.connection.id, 0)
        counts[each.connection.id] = number + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(each)
    return waves


def _alike(
    owed: list[Owed], payload: str, pages: Mapping[str, Page], unsettled: Position
) -> Iterator[Send]:
    alike: dict[tuple[Any, ...], list[Owed]] = {}
    for each in owed:
        connection = each.connection
        safe = connection.safe(unsettled)
        page = pages.get(connection.id)
        same = (each.action, each.step.position, each.mark, safe, page)
        alike.setdefault(same, []).append(each)
    for (action, position, mark, safe, page), those in alike.items():
        first = those[0]
        meta = {
            "id": f"{position}.{mark}" if mark else str(position),
            "safe": str(safe),
            "model": first.dependency.condition.model,
            "pk": first.pk,
            "action": action,
        }
        ids = tuple(each.connection.id for each in those)
        at = None if first.step.is_replayed else first.step.at
        yield Send(ids, first.dependency.name, payload, meta, at, page)
