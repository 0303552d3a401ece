"""Sends: one rendering's result, addressed to all that it is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from serverpush.protocol import Page, Position
from serverpush.server.core.actions import Send
from serverpush.server.core.cohorts import Audience
from serverpush.server.core.connection import Connection
from serverpush.server.core.news import is_bare, news
from serverpush.server.core.owed import Owed

_Alike = tuple[Any, ...]


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
    waves: dict[str, list[Owed]] = {}
    for each in owed:
        waves.setdefault(each.mark, []).append(each)
    return list(waves.values())


def _alike(
    owed: list[Owed], payload: str, pages: Mapping[str, Page], unsettled: Position
) -> Iterator[Send]:
    alike: dict[_Alike, tuple[Owed, list[str]]] = {}
    for each in owed:
        digest = None if is_bare(payload, each.pk) else hash(payload)
        for safe, page, ids in _stands(each, news(each, digest, pages), pages, unsettled):
            same = (each.action, each.step.position, safe, page)
            if same in alike:
                alike[same][1].extend(ids)
            else:
                alike[same] = each, ids
    for (action, position, safe, page), (first, ids) in alike.items():
        mark = first.mark
        meta = {
            "id": f"{position}.{mark}" if mark else str(position),
            "safe": str(safe),
            "model": first.dependency.condition.model,
            "pk": first.pk,
            "action": action,
        }
        at = None if first.step.is_replayed else first.step.at
        yield Send(tuple(ids), first.dependency.name, payload, meta, at, page)


def _stands(
    owed: Owed, connections: list[Connection], pages: Mapping[str, Page], unsettled: Position
) -> Iterator[tuple[Position, Page | None, list[str]]]:
    """By how far they have been brought, and by their pages anew: who it is for."""
    if isinstance(owed.to, Audience) and not pages:
        alike, floor = owed.to.cohort.alike(connections)
        safe = min(floor or unsettled, unsettled)
        alike = [each for each in alike if each.reach(safe) is safe]
        if alike:
            yield safe, None, [each.id for each in alike]
        if len(alike) == len(connections):
            return
        known = set(alike)
        connections = [each for each in connections if each not in known]
    for each in connections:
        yield each.reach(each.safe(unsettled)), pages.get(each.id), [each.id]
