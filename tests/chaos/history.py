"""The history checker: what was committed, what each client was shown, and whether they agree.

Pure: it takes values, and says what is wrong with them.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.notes import Heard, Listener, Notes, Sent

MAX_TOLD = 10
# Seconds from a page's request to where its rendering can't have seen a commit any more.
DOUBT = 1.0


class Row(NamedTuple):
    """An instance's state; a version belongs to one attempt to save, committed or not."""

    version: int
    group: str
    level: int


Meets = Callable[[int, Row], bool]
Rows = Mapping[int, Row]
Shown = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Commit:
    """One write of an instance; ``row`` is None for a deletion.

    ``at`` is when it had been written, in seconds since the epoch.
    """

    pk: int
    version: int
    row: Row | None
    at: float
    is_committed: bool = True


@dataclass(frozen=True, slots=True)
class Loaded:
    """A client loaded a page: what the page is about, by update, and what it showed.

    ``at`` is when it was asked for, in seconds since the epoch.
    """

    watches: Mapping[str, Meets]
    shown: Shown
    at: float


@dataclass(frozen=True, slots=True)
class Applied:
    """A client applied an event.

    ``versions`` are those that it brought by key: of one instance, of none where
    it was removed, or, where ``is_whole``, of all that the update shows.
    """

    name: str
    id: str
    safe: str
    pk: int
    action: str
    versions: Mapping[int, int]
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A client was told to load its page again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A client asked the site for its page again, and goes on with the old one until it comes."""


@dataclass(frozen=True, slots=True)
class Known:
    """A client let an event be, as it had applied one of this id.

    ``pk`` is None for one that brings all that its update shows: of several changes in
    it, either may be named.
    """

    name: str
    id: str
    pk: int | None


Entry = Loaded | Applied | Told | Asked | Known | Heard


@dataclass
class History:
    """Every commit, every note that was sent, and every client's story in its order."""

    commits: list[Commit] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    stories: dict[str, list[Entry]] = field(default_factory=dict)

    def told(self) -> list[Told]:
        return [each for each in self._entries() if isinstance(each, Told)]

    def applied(self) -> list[Applied]:
        return [each for each in self._entries() if isinstance(each, Applied)]

    def heard(self) -> list[bool]:
        """For each client, whether it applied any event."""
        return [any(isinstance(each, Applied) for each in story) for story in self.stories.values()]

    def _entries(self) -> Iterator[Entry]:
        return (each for story in self.stories.values() for each in story)

    def check(self, final: Rows) -> None:
        """Assert that nothing is wrong; ``final`` is what the database holds at the end."""
        for what in (untrue, lost, twice, backwards, strangers, misheard):
            wrong = list(what(self, final))
            told = "\n".join(wrong[:MAX_TOLD])
            assert not wrong, f"{what.__name__}, {len(wrong)} times:\n{told}"


def expected(watches: Mapping[str, Meets], rows: Rows) -> dict[str, dict[int, int]]:
    """What a page about ``watches`` has to show."""
    return {
        name: {pk: row.version for pk, row in rows.items() if meets(pk, row)}
        for name, meets in watches.items()
    }


def apply(shown: dict[str, dict[int, int]], event: Applied) -> None:
    """Do to what a page shows what its script does for an event."""
    own = shown.setdefault(event.name, {})
    if event.is_whole:
        own.clear()
    elif not event.versions:
        own.pop(event.pk, None)
    own.update(event.versions)


def untrue(history: History, final: Rows) -> Iterator[str]:
    """Where the record of commits is not what the database holds."""
    last = {pk: commits[-1].row for pk, commits in _by_key(history).items()}
    held = {pk: row for pk, row in last.items() if row is not None}
    for pk in sorted({*held, *final}):
        if held.get(pk) != final.get(pk):
            yield f"{pk}: committed {held.get(pk)}, the database holds {final.get(pk)}"


def lost(history: History, final: Rows) -> Iterator[str]:
    """Clients that do not show the final state in the end."""
    for client, story in history.stories.items():
        shown: dict[str, dict[int, int]] = {}
        watches: Mapping[str, Meets] = {}
        for entry in story:
            if isinstance(entry, Loaded):
                watches = entry.watches
                shown = {name: dict(those) for name, those in entry.shown.items()}
            elif isinstance(entry, Applied):
                apply(shown, entry)
        for name, wanted in expected(watches, final).items():
            if shown[name] != wanted:
                pks = [
                    pk for pk in {*shown[name], *wanted} if shown[name].get(pk) != wanted.get(pk)
                ]
                told = {pk: (shown[name].get(pk), wanted.get(pk)) for pk in sorted(pks)[:3]}
                yield f"{client} {name}: shows, should show: {told}"


def twice(history: History, final: Rows) -> Iterator[str]:
    """Events that one page applied more than once, and ids that named two of them."""
    for client, story in history.stories.items():
        seen: dict[str, tuple[str, int | None]] = {}
        for entry in story:
            if isinstance(entry, Loaded):
                seen = {}
            elif isinstance(entry, Applied):
                if entry.id in seen:
                    yield f"{client}: {entry}"
                seen[entry.id] = (entry.name, None if entry.is_whole else entry.pk)
            elif isinstance(entry, Known) and seen[entry.id] != (entry.name, entry.pk):
                yield f"{client}: {entry} had the id of {seen[entry.id]}"


def backwards(history: History, final: Rows) -> Iterator[str]:
    """Versions that went back at one client, and safe positions on one page."""
    for client, story in history.stories.items():
        versions: dict[tuple[str, int], int] = {}
        when_asked: dict[tuple[str, int], int] = {}
        safe = ""
        for entry in story:
            if isinstance(entry, Asked):
                when_asked = dict(versions)
            elif isinstance(entry, Loaded):
                # What was applied while the page was on its way is replayed to it.
                versions, safe = when_asked, ""
                for name, those in entry.shown.items():
                    yield from _brought(client, versions, name, those)
            elif isinstance(entry, Applied):
                if entry.safe < safe:
                    yield f"{client}: safe was {safe}: {entry}"
                safe = max(safe, entry.safe)
                yield from _brought(client, versions, entry.name, entry.versions)


def _brought(
    client: str, versions: dict[tuple[str, int], int], name: str, brought: Mapping[int, int]
) -> Iterator[str]:
    for pk, version in brought.items():
        before = versions.get((name, pk), version)
        if version < before:
            yield f"{client} {name}: {pk} went back from {before} to {version}"
        versions[name, pk] = version


def strangers(history: History, final: Rows) -> Iterator[str]:
    """What clients were told of that is not their page's, or was never committed."""
    past = {pk: _Past(commits) for pk, commits in _by_key(history).items()}
    for client, story in history.stories.items():
        page: _PageSoFar | None = None
        for entry in story:
            if isinstance(entry, Loaded):
                page = _PageSoFar(entry, past)
            elif isinstance(entry, Applied):
                assert page is not None, f"{client} has an event before its page"
                wrong = page.take(entry)
                if wrong:
                    yield f"{client}: {wrong}: {entry}"


def misheard(history: History, final: Rows) -> Iterator[str]:
    """Notes that clients heard twice or out of order, or did not hear, or that were taken back."""
    notes = Notes(history.sent)
    for client, story in history.stories.items():
        listener = Listener(notes)
        for entry in story:
            if isinstance(entry, Loaded):
                listener.loaded(entry.at)
            elif isinstance(entry, Told):
                listener.told()
            elif isinstance(entry, Heard):
                yield from (f"{client}: {wrong}" for wrong in listener.hear(entry))
        yield from (f"{client}: {wrong}" for wrong in listener.end())


def _by_key(history: History) -> dict[int, list[Commit]]:
    commits: dict[int, list[Commit]] = {}
    for each in sorted(history.commits, key=lambda each: each.version):
        if each.is_committed:
            commits.setdefault(each.pk, []).append(each)
    return commits


class _Past:
    """The committed states of one instance, oldest first."""

    def __init__(self, commits: list[Commit]) -> None:
        self.commits = commits
        self.versions = [each.version for each in commits]

    def at(self, version: int) -> Row | None:
        place = bisect.bisect_left(self.versions, version)
        found = place < len(self.versions) and self.versions[place] == version
        return self.commits[place].row if found else None

    def met(self, meets: Meets, low: int, high: int | None) -> bool:
        """Did it meet a condition at one of the versions from ``low`` to ``high``?"""
        begin = max(0, bisect.bisect_right(self.versions, low) - 1)
        end = len(self.versions) if high is None else bisect.bisect_right(self.versions, high)
        return any(_meets(meets, each) for each in self.commits[begin:end])

    def left(self, meets: Meets, low: int) -> int:
        """The first version from ``low`` on at which it did not meet a condition, or ``low``."""
        later = self.commits[bisect.bisect_left(self.versions, low) :]
        return next((each.version for each in later if not _meets(meets, each)), low)

    def before(self, at: float) -> int:
        """The version at a time; 0 where there was none."""
        return max((each.version for each in self.commits if each.at <= at), default=0)

    def is_in_doubt(self, at: float) -> bool:
        """Was it written before a page asked for at this time was rendered, or around it?"""
        return any(each.at <= at + DOUBT for each in self.commits)


def _meets(meets: Meets, commit: Commit) -> bool:
    return commit.row is not None and meets(commit.pk, commit.row)


class _PageSoFar:
    """What one page has been told of, to judge the next event by."""

    def __init__(self, loaded: Loaded, past: Mapping[int, _Past]) -> None:
        self.loaded = loaded
        self.past = past
        self.shown = {name: dict(those) for name, those in loaded.shown.items()}
        self.known = {
            (name, pk): version
            for name, those in loaded.shown.items()
            for pk, version in those.items()
        }

    def take(self, event: Applied) -> str:
        """What is wrong with this event: nothing, if it is empty."""
        wrong = self._wrong(event)
        if not wrong:
            was_shown = event.pk in self.shown[event.name]
            apply(self.shown, event)
            self.known |= {(event.name, pk): each for pk, each in event.versions.items()}
            # Told again of a removal, a page knows no more than before.
            if was_shown and event.pk not in self.shown[event.name] and event.pk in self.past:
                meets, place = self.loaded.watches[event.name], (event.name, event.pk)
                self.known[place] = self.past[event.pk].left(meets, self.known.get(place, 0))
        return wrong

    def _wrong(self, event: Applied) -> str:
        meets = self.loaded.watches.get(event.name)
        if meets is None:
            return "the page has no such update"
        for pk, version in event.versions.items():
            row = self.past[pk].at(version) if pk in self.past else None
            if row is None:
                return f"version {version} of {pk} was never committed"
            if event.is_whole and not meets(pk, row):
                return f"{pk} does not belong there"
        if event.pk not in self.shown[event.name] and not self._may_be_told(meets, event):
            return f"it never belonged there ({self._told_before(event)})"
        return ""

    def _told_before(self, event: Applied) -> str:
        """What the page knew of the instance, and what was committed of it since."""
        past = self.past.get(event.pk, _Past([]))
        known = self.known.get((event.name, event.pk))
        low = past.before(self.loaded.at - DOUBT) if known is None else known
        states = [f"{each.version} {each.row and tuple(each.row[1:])}" for each in past.commits]
        begin = max(0, bisect.bisect_right(past.versions, low) - 2)
        return f"the page knew {known}, was loaded at {low}; {', '.join(states[begin:][:12])}"

    def _may_be_told(self, meets: Meets, event: Applied) -> bool:
        past = self.past.get(event.pk)
        if past is None:
            return False
        low = self.known.get((event.name, event.pk), past.before(self.loaded.at - DOUBT))
        high = None if event.is_whole or not event.versions else event.versions[event.pk]
        if past.met(meets, low, high):
            return True
        # Of a commit that is reported after the page was rendered, nobody knows
        # whether the page shows it. So the page is told that the instance is not
        # there, whether it was or not; nothing of the instance is told but its key.
        # And it may be told once more that one is gone which it knew. One that brings all
        # that its update shows may name such an instance, too, whatever has become of it.
        is_known = (event.name, event.pk) in self.known
        if event.is_whole and is_known:
            return True
        return event.action == "removed" and (is_known or past.is_in_doubt(self.loaded.at))
