"""News: for whom a result is something else than what they were sent last."""

from __future__ import annotations

import json
from collections.abc import Collection

from serverpush.protocol import Key
from serverpush.server.core.cohorts import Audience
from serverpush.server.core.connection import Connection
from serverpush.server.core.owed import Owed
from serverpush.server.core.told import Saying, Told

# Characters of a payload that may be bare.
MAX_BARE = 200


def is_bare(payload: str, pk: Key | None) -> bool:
    """Does a payload say no more than which instance it is of?

    So it is where an event only says that there is something to be fetched.
    """
    if len(payload) > MAX_BARE:
        return False
    value = json.loads(payload)
    values = value.values() if isinstance(value, dict) else value
    return all(
        each is None or each is True or each in ("", [], {}) or str(each) == str(pk)
        for each in (values if isinstance(value, dict | list) else [value])
    )


def news(owed: Owed, digest: int | None, renewed: Collection[str]) -> list[Connection]:
    """Those whom a result is to be sent to; takes note that they have been told.

    Arguments:
        owed: what the result is for.
        digest: of the result's payload; None for one that says nothing to be compared.
        renewed: the ids of those whose pages have other dependencies now, and have to hear
            of that in any case.
    """
    # A page that is made anew is the same whichever instance it is made for.
    pk = owed.pk if owed.dependency.serializer.reads_object else None
    saying = owed.mark, pk, digest
    connections = owed.connections
    if isinstance(owed.to, Audience):
        return _together(owed, owed.to, saying, connections, renewed)
    return [each for each in connections if _is_new(each, owed, saying, renewed)]


def _together(
    owed: Owed,
    to: Audience,
    saying: Saying,
    connections: list[Connection],
    renewed: Collection[str],
) -> list[Connection]:
    cohort, name = to.cohort, owed.dependency.name
    word = cohort.told.get(name)
    is_same = word is not None and word.saying == saying
    upto = max(to.upto, word.upto) if word is not None and is_same else to.upto
    if _is_end(owed) or to.out:
        # Those who are left out hear something else.
        cohort.told.forget(name)
    else:
        cohort.told.note(name, saying, upto)
    # What those are told who are in another cohort now its words have to go by.
    left = [each for each in to.left if each.is_due]
    elsewhere = [each for each in left if _is_new(each, owed, saying, renewed)]
    here = [each for each in connections if each not in to.left]
    if word is not None and is_same and here and _may_repeat(owed, here[0], saying):
        here = [each for each in to.since(int(word.upto)) if each.is_due]
    return here + elsewhere


def _is_new(connection: Connection, owed: Owed, saying: Saying, renewed: Collection[str]) -> bool:
    """Is it for one connection? Then what its cohort was told may not hold for it any more."""
    is_gone = owed.mark not in connection.marks and connection.id not in renewed
    if is_gone and owed.dependency.serializer.kind != "view":
        # Its page was made anew since, and has this update no longer.
        return False
    name = owed.dependency.name
    told = connection.told
    if told is None:
        told = connection.told = Told()
    words = [told.get(name)]
    cohort = connection.cohort
    if cohort is not None and (word := cohort.told.get(name)) is not None:
        if connection.serial <= word.upto:
            words.append(word)
        if word.saying != saying or _is_end(owed):
            cohort.told.forget(name)
    if _is_end(owed):
        told.forget(name)
        return True
    last = max((each for each in words if each), key=lambda word: word.stamp, default=None)
    if owed.step.is_replayed:
        # It may have applied an event of this id before, and lets this one be.
        told.forget(name)
    else:
        told.note(name, saying)
    is_same = last is not None and last.saying == saying and _may_repeat(owed, connection, saying)
    return not is_same or connection.id in renewed


def _is_end(owed: Owed) -> bool:
    """Does it take away what an event of its name said of the instance?"""
    return owed.action == "removed" and owed.dependency.serializer.reads_object


def _may_repeat(owed: Owed, connection: Connection, saying: Saying) -> bool:
    """Need the same not be said again where it was the last that was said by this name?

    A view that a page has by several names makes the whole of it, by each of them.
    """
    dependency = owed.dependency
    # A page as a whole is the same, whatever it was that an instance did.
    is_change = owed.action == "changed" or not dependency.serializer.reads_object
    if not is_change or saying[2] is None:
        return False
    return dependency.serializer.kind != "view" or all(
        each.name == dependency.name
        for each in connection.page.dependencies
        if each.serializer == dependency.serializer
    )
