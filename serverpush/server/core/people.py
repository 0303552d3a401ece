"""People: whose connection is it? Asked of a renderer only when a message is for users."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from serverpush.exceptions import BadMessage
from serverpush.jobs import IdentifyJob
from serverpush.protocol import Position
from serverpush.results import IdentifyResult
from serverpush.server.core.questions import Questions
from serverpush.server.core.strangers import Stranger
from serverpush.server.core.waits import is_over

# Sessions that one job asks about: as many keys as a query's parameters may hold everywhere.
MAX_SESSIONS = 500
# Sessions whose users are remembered.
MAX_REMEMBERED = 100_000
# So often those are forgotten that are not here: nobody sweeps them.
FORGET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Sessions, by their hashes, whose users are being asked for."""

    sessions: tuple[str, ...]


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
        # By connection, its session; and the same for those whose user is not known.
        self._here: dict[str, str] = {}
        self._forget_at = 0.0
        self._strange: dict[str, str] = {}
        self._questions: Questions[str] = Questions(MAX_SESSIONS)

    def come(self, id: str, session: str) -> str | None:
        """Note a connection; whose is its session?

        Returns the key of its user as text, "" for nobody; None where that is not known.
        """
        self._here[id] = session
        return self._users.get(session)

    def forget(self, sessions: Iterable[str], users: Iterable[str]) -> None:
        """Let it be asked again whose these sessions are, and those of these users."""
        for session in sessions:
            self._users.pop(session, None)
        those = set(users)
        if those:
            for session in [each for each, user in self._users.items() if user in those]:
                del self._users[session]

    def add(self, id: str, key: str, session: str, since: Position) -> Stranger:
        """Note a connection, and where it stands, whose session's user is not known."""
        stranger = Stranger(id, since)
        self._sessions.setdefault(session, _Session(key)).strangers[id] = stranger
        self._strange[id] = session
        return stranger

    def discard(self, id: str) -> None:
        """Forget a connection."""
        self._here.pop(id, None)
        session = self._strange.pop(id, "")
        known = self._sessions.get(session)
        if known is not None:
            known.strangers.pop(id, None)
            if not known.strangers:
                del self._sessions[session]

    def strangers(self) -> list[Stranger]:
        return [each for known in self._sessions.values() for each in known.strangers.values()]

    def ask(self, stranger: Stranger) -> None:
        """Let it be asked whose session a stranger has."""
        self._questions.ask(self._strange[stranger.id])

    def tick(self, now: float) -> None:
        """Let those be asked for again of whom nothing could be found out.

        Forget sessions that are no longer here, which may end without a word; ``now`` in
        seconds since the epoch.
        """
        self._questions.tick(now)
        if is_over(self._forget_at, FORGET_SECONDS, now):
            self._forget_at = now + FORGET_SECONDS
            here = set(self._here.values())
            self._users = OrderedDict(each for each in self._users.items() if each[0] in here)

    def next_job(self) -> tuple[Asked, IdentifyJob] | None:
        """The sessions that a renderer has to look at next, and the job that does."""
        sessions = self._questions.take(self._sessions.__contains__)
        if not sessions:
            return None
        return Asked(sessions), IdentifyJob(tuple(self._sessions[each].key for each in sessions))

    def answer(self, asked: Asked, result: IdentifyResult) -> list[tuple[Stranger, str]]:
        """Take the result of a job; returns strangers that are known now, with their users.

        Raises ``BadMessage`` for an answer to another question: take it as ``failed``.
        """
        if len(result.users) != len(asked.sessions):
            raise BadMessage(result.error or "not all were answered")
        answers = list(zip(asked.sessions, result.users, strict=True))
        # Those for whom the project's own code raised are asked for again.
        self._questions.taken(session for session, user in answers if user is None)
        found = []
        for session, user in answers:
            if user is None:
                continue
            self._remember(session, user)
            known = self._sessions.pop(session, None)
            for stranger in known.strangers.values() if known else ():
                del self._strange[stranger.id]
                found.append((stranger, user))
        return found

    def failed(self, now: float) -> None:
        """Ask again later; ``now`` in seconds since the epoch."""
        self._questions.failed(now)

    def _remember(self, session: str, user: str) -> None:
        self._users[session] = user
        self._users.move_to_end(session)
        if len(self._users) > MAX_REMEMBERED:
            self._users.popitem(last=False)
