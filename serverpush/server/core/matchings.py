"""Matchings: which instances have to be asked about, and for whom."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from serverpush.jobs import MatchJob
from serverpush.protocol import Key
from serverpush.results import MatchResult
from serverpush.server.core.connection import Connection
from serverpush.server.core.fair import FairQueue
from serverpush.server.core.index import Index
from serverpush.server.core.steps import Step
from serverpush.server.core.watched import Watched


@dataclass(slots=True)
class Live:
    """Changes of one instance whose conditions have not been asked about yet."""

    step: Step
    ticket: int


@dataclass(slots=True)
class Missed:
    """Changes that one connection has to be brought over, and nobody else.

    ``owed`` is False where the client has had them: then the answer only brings
    the membership up to date.
    """

    connection: Connection
    place: int
    watched: Watched
    pk: Key
    step: Step
    before: bool | None
    doubt: bool
    owed: bool
    ticket: int


@dataclass(slots=True)
class Asked:
    """A question under way, and the newest condition at the time it was put.

    ``first`` is the answer to its first part, which told what else is to be asked.
    """

    model: str
    pk: Key
    live: Live | None
    missed: list[Missed]
    newest: int
    first: MatchResult | None = None


@dataclass(slots=True)
class _Matching:
    live: Live | None = None
    missed: list[Missed] = field(default_factory=list)
    running: bool = False


class Matchings:
    """The queue of instances to ask the database about, one question at a time for each.

    Models take turns: a flood of creations of one does not keep back the others.

    Arguments:
        index: what makes the question.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._matchings: dict[tuple[str, Key], _Matching] = {}
        self._queue: FairQueue[tuple[str, Key]] = FairQueue()
        # The second parts of questions that are under way.
        self._seconds: deque[tuple[Asked, MatchJob]] = deque()

    def __len__(self) -> int:
        return len(self._queue) + len(self._seconds)

    def live(self, model: str, pk: Key) -> Live | None:
        """The changes of an instance that wait to be asked about."""
        matching = self._matchings.get((model, pk))
        return matching.live if matching else None

    def add_live(self, model: str, pk: Key, live: Live) -> None:
        self._get(model, pk).live = live

    def add_missed(self, missed: Missed) -> None:
        self._get(missed.watched.condition.model, missed.pk).missed.append(missed)

    def next(self) -> tuple[Asked, MatchJob] | None:
        """Put the question whose turn it is."""
        if self._seconds:
            return self._seconds.popleft()
        key = self._queue.next()
        if key is None:
            return None
        matching = self._matchings[key]
        asked = Asked(*key, matching.live, matching.missed, self._index.newest)
        matching.live, matching.missed, matching.running = None, [], True
        return asked, self._index.question(*key)

    def goes_on(self, asked: Asked, result: MatchResult) -> bool:
        """Is there more to ask, now that the instance's values are known? Then it will be."""
        if asked.first is not None or result.values is None:
            return False
        job = self._index.guarded(asked.model, asked.pk, result.values, asked.newest)
        if job is not None:
            asked.first = result
            self._seconds.append((asked, job))
        return job is not None

    def finish(self, asked: Asked) -> None:
        """End a question; what came in meanwhile is asked next."""
        key = (asked.model, asked.pk)
        matching = self._matchings[key]
        matching.running = False
        if matching.live is not None or matching.missed:
            self._queue.add(key, key[:1])
        else:
            del self._matchings[key]

    def _get(self, model: str, pk: Key) -> _Matching:
        matching = self._matchings.setdefault((model, pk), _Matching())
        if not matching.running:
            self._queue.add((model, pk), (model,))
        return matching
