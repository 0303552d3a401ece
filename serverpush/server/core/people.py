"""People: whose connection is it? Asked of a renderer only when a message is for users."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from serverpush.exceptions import BadMessage
from serverpush.jobs import IdentifyJob, IdentifyResult
from serverpush.protocol import Position

# Sessions that one job asks about: as many keys as a query's parameters may hold everywhere.
MAX_SESSIONS = 500
# Sessions whose users are remembered.
MAX_REMEMBERED = 100_000
# Seconds after a job that failed; doubled by each that fails next.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Sessions, by their hashes, whose users are being asked for."""

    sessions: tuple[str, ...]


@dataclass(slots=True)
class Stranger:
    """A connection by the cookie of a session that nobody has looked at.

    ``since`` is where its messages begin once it is known, and ``ticket`` holds its
    safe position there; None while there is no message that it may have to get.
    """

    since: Position | None = None
    ticket: int | None = None


@dataclass(slots=True)
class _Session:
    key: str
    strangers: dict[str, Stranger] = field(default_factory=dict)


class People:
    """The users of sessions, as far as they are known, and who waits to be known."""

    def __init__(self) -> None:
        # "": nobody is logged in.
        self._users: OrderedDict[str, str] = OrderedDict()
        self._sessions: dict[str, _Session] = {}
        self._due: OrderedDict[str, None] = OrderedDict()
        # Those for whom the project's own code raised.
        self._later: dict[str, None] = {}
        self._again_at = 0.0
        self._is_asking = False
        self._pause = 0.0
        self._resume_at: float | None = None

    def user_of(self, session: str) -> str | None:
        """The key of a session's user as text, "" for nobody; None where that is not known."""
        return self._users.get(session)

    def forget(self, sessions: Iterable[str], users: Iterable[str]) -> None:
        """Let it be asked again whose these sessions are, and those of these users."""
        for session in sessions:
            self._users.pop(session, None)
        those = set(users)
        if those:
            for session in [each for each, user in self._users.items() if user in those]:
                del self._users[session]

    def add(self, id: str, key: str, session: str) -> Stranger:
        """Note a connection whose session's user is not known."""
        stranger = Stranger()
        self._sessions.setdefault(session, _Session(key)).strangers[id] = stranger
        return stranger

    def discard(self, id: str, session: str) -> None:
        known = self._sessions.get(session)
        if known is not None:
            known.strangers.pop(id, None)
            if not known.strangers:
                del self._sessions[session]

    def strangers(self) -> list[tuple[str, str, Stranger]]:
        """All that are not known: session, connection, stranger."""
        return [
            (session, id, stranger)
            for session, known in self._sessions.items()
            for id, stranger in known.strangers.items()
        ]

    def ask(self, session: str) -> None:
        """Let a session's user be asked for."""
        self._due[session] = None

    def tick(self, now: float) -> None:
        """Let those be asked for again of whom nothing could be found out."""
        if self._later and now >= self._again_at:
            self._again_at = now + LONGEST_PAUSE
            self._due.update(self._later)
            self._later.clear()
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at = None

    def next_job(self) -> tuple[Asked, IdentifyJob] | None:
        """The sessions that a renderer has to look at next, and the job that does."""
        if self._is_asking or self._resume_at is not None:
            return None
        sessions: list[str] = []
        while self._due and len(sessions) < MAX_SESSIONS:
            session, _ = self._due.popitem(last=False)
            if session in self._sessions:
                sessions.append(session)
        if not sessions:
            return None
        self._is_asking = True
        keys = tuple(self._sessions[each].key for each in sessions)
        return Asked(tuple(sessions)), IdentifyJob(keys)

    def answer(self, asked: Asked, result: IdentifyResult) -> list[tuple[str, str, Stranger]]:
        """Take the result of a job; returns connections that are known now, with their users.

        Raises ``BadMessage`` for an answer to another question: take it as ``failed``.
        """
        if len(result.users) != len(asked.sessions):
            raise BadMessage(result.error or "not all were answered")
        self._is_asking = False
        self._pause = 0.0
        found = []
        for session, user in zip(asked.sessions, result.users, strict=True):
            if user is None:
                self._later[session] = None
                continue
            self._remember(session, user)
            known = self._sessions.pop(session, None)
            if known is not None:
                found += [(id, user, stranger) for id, stranger in known.strangers.items()]
        return found

    def failed(self, asked: Asked, now: float) -> None:
        """Ask again later; ``now`` in seconds since the epoch."""
        self._is_asking = False
        self._pause = min(max(FIRST_PAUSE, 2 * self._pause), LONGEST_PAUSE)
        self._resume_at = now + self._pause
        for session in asked.sessions:
            self.ask(session)

    def _remember(self, session: str, user: str) -> None:
        self._users[session] = user
        self._users.move_to_end(session)
        if len(self._users) > MAX_REMEMBERED:
            self._users.popitem(last=False)
