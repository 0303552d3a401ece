"""What clients of a crowd were sent, as their stories for the history checker.

Their updates are each about one instance, and what they show has a version: the number
before its first full stop, as in ``version-7.`` or ``healthy 7.``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from functools import partial

from tests.chaos.crowd import Event
from tests.chaos.history import Applied, Commit, Entry, Known, Loaded, Row, Told

VERSION = re.compile(r"[a-z][-: ](\d+)\.")


def saved(pk: int, version: int) -> Commit:
    """An instance was saved, now."""
    return Commit(pk, version, Row(version, "", 0), time.time())


def rows(names: Mapping[int, str]) -> dict[int, Row]:
    """What the database holds, by the names of the instances there."""
    return {pk: Row(version_of(name), "", 0) for pk, name in names.items()}


def story(pks: Mapping[str, int], loaded: float, events: Iterable[Event]) -> list[Entry]:
    """The story of one page.

    Arguments:
        pks: for each of its updates, the key of the instance that it is about, which the
            page showed in version 0.
        loaded: when it was asked for, in seconds since the epoch.
        events: what came, over however many connections.
    """
    watches = {name: partial(_is, pk) for name, pk in pks.items()}
    entries: list[Entry] = [Loaded(watches, {name: {pk: 0} for name, pk in pks.items()}, loaded)]
    seen: set[str] = set()
    for event in events:
        if event.name == "serverpush:refresh":
            entries.append(Told(event.payload["reason"]))
        elif not event.name.startswith("serverpush:"):
            entries.append(_known(event) if event.meta["id"] in seen else _applied(event))
            seen.add(event.meta["id"])
    return entries


def version_of(text: str) -> int:
    """The version in what an update shows."""
    found = VERSION.search(text)
    assert found, f"no version in {text!r}"
    return int(found[1])


def _is(wanted: int, pk: int, row: Row) -> bool:
    return pk == wanted


def _known(event: Event) -> Known:
    return Known(event.name, event.meta["id"], event.meta["pk"])


def _applied(event: Event) -> Applied:
    meta = event.meta
    versions = {meta["pk"]: version_of(str(event.payload))}
    return Applied(event.name, meta["id"], meta["safe"], meta["pk"], meta["action"], versions)
