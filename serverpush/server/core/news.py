"""News: for whom a result is something else than what they were sent last."""

from __future__ import annotations

from collections.abc import Collection

from serverpush.server.core.cohorts import Audience
from serverpush.server.core.connection import Connection
from serverpush.server.core.owed import Owed
from serverpush.server.core.told import MAX_ALONE, Told, What


def news(owed: Owed, digest: int, renewed: Collection[str]) -> list[Connection]:
    """Those whom a result is to be sent to; takes note that they have been told.

    Arguments:
        owed: what the result is for.
        digest: of the result's payload.
        renewed: the ids of those whose pages have other dependencies now, and have to hear
            of that in any case.
    """
    # A page that is made anew is the same whichever instance it is made for.
    what = owed.mark, owed.pk if owed.dependency.serializer.reads_object else None
    connections = owed.connections
    if isinstance(owed.to, Audience):
        return _together(owed, owed.to, what, digest, connections, renewed)
    return [each for each in connections if _is_new(each, owed, what, digest, renewed)]


def _together(
    owed: Owed,
    to: Audience,
    what: What,
    digest: int,
    connections: list[Connection],
    renewed: Collection[str],
) -> list[Connection]:
    cohort = to.cohort
    word = cohort.told.get(what)
    is_same = word is not None and word.digest == digest
    upto = max(to.upto, word.upto) if word is not None and is_same else to.upto
    if owed.action == "removed" or to.out:
        # Those who are left out hear something else.
        cohort.told.forget(what)
    else:
        cohort.told.note(what, digest, upto)
    # What those are told who are in another cohort now its words have to go by.
    left = [each for each in to.left if each.is_due]
    elsewhere = [each for each in left if _is_new(each, owed, what, digest, renewed)]
    if word is None or not is_same or owed.action != "changed":
        here = [each for each in connections if each not in to.left]
    else:
        here = [each for each in to.since(word.upto) if each.is_due]
    return here + elsewhere


def _is_new(
    connection: Connection, owed: Owed, what: What, digest: int, renewed: Collection[str]
) -> bool:
    """Is it for one connection? Then what its cohort was told may not hold for it any more."""
    told = connection.told
    if told is None:
        told = connection.told = Told(MAX_ALONE)
    words = [told.get(what)]
    cohort = connection.cohort
    if cohort is not None and (word := cohort.told.get(what)) is not None:
        if connection.serial <= word.upto:
            words.append(word)
        if word.digest != digest or owed.action == "removed":
            cohort.told.forget(what)
    if owed.action == "removed":
        told.forget(what)
        return True
    last = max((each for each in words if each), key=lambda word: word.stamp, default=None)
    if owed.step.is_replayed:
        # It may have applied an event of this id before, and lets this one be.
        told.forget(what)
    else:
        told.note(what, digest)
    is_same = last is not None and last.digest == digest and owed.action == "changed"
    return not is_same or connection.id in renewed
