"""Bearers: connections by a token that only the project's own tokenizer understands.

It gives a user's token, and nobody can tell a token's user. So it is when there is something
for a user that a renderer is asked for that user's token: who bears it is that user.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from serverpush.exceptions import BadMessage
from serverpush.jobs import UsersJob
from serverpush.protocol import Position
from serverpush.results import UsersResult
from serverpush.server.core.questions import Questions
from serverpush.server.core.strangers import Stranger

# Users that one job asks about: a tokenizer may make a query for each.
MAX_USERS = 100


@dataclass(frozen=True, slots=True)
class Sought:
    """Users, by their keys as text, whose tokens are being asked for."""

    users: tuple[str, ...]


class Bearers:
    """The connections by tokens that nobody has recognized, and the users to be asked about."""

    def __init__(self) -> None:
        # By the hash of their token, which is a secret.
        self._bearers: dict[str, dict[str, Stranger]] = {}
        self._tokens: dict[str, str] = {}
        self._questions: Questions[str] = Questions(MAX_USERS)

    def __bool__(self) -> bool:
        return bool(self._bearers)

    def add(self, id: str, token: str, since: Position) -> Stranger:
        """Note a connection by the hash of its token, and where it stands."""
        stranger = Stranger(id, since)
        self._bearers.setdefault(token, {})[id] = stranger
        self._tokens[id] = token
        return stranger

    def discard(self, id: str) -> None:
        """Forget a connection, if it is a bearer's."""
        token = self._tokens.pop(id, "")
        those = self._bearers.get(token, {})
        those.pop(id, None)
        if not those:
            self._bearers.pop(token, None)

    def strangers(self) -> list[Stranger]:
        return [each for those in self._bearers.values() for each in those.values()]

    def ask(self, users: Iterable[str]) -> None:
        """Let the tokens of users be asked for, if somebody bears one."""
        if self._bearers:
            for user in users:
                self._questions.ask(user)

    def wait(self, stranger: Stranger) -> None:
        """Let a stranger be one until all that is asked by now is answered."""
        stranger.question = self._questions.last

    def tick(self, now: float) -> None:
        self._questions.tick(now)

    def next_job(self) -> tuple[Sought, UsersJob] | None:
        """The users that a renderer has to be asked about next, and the job that does."""
        users = self._questions.take(lambda _: bool(self._bearers))
        return (Sought(users), UsersJob(users, tokens=True)) if users else None

    def answer(self, sought: Sought, result: UsersResult) -> list[tuple[Stranger, str]]:
        """Take the result of a job.

        Returns strangers with their users, and with "" those who are none of the users
        that there were messages for. Raises ``BadMessage`` as ``People.answer`` does.
        """
        if len(result.found) != len(sought.users):
            raise BadMessage(result.error or "not all were answered")
        self._questions.taken(sought.users[place] for place in result.unknown)
        found = []
        for user, token in zip(sought.users, result.found, strict=True):
            for stranger in list(self._bearers.get(token or "", {}).values()):
                self.discard(stranger.id)
                found.append((stranger, user))
        answered = self._questions.answered
        found += [(each, "") for each in self.strangers() if each.question <= answered]
        return found

    def failed(self, now: float) -> None:
        """Ask again later; ``now`` in seconds since the epoch."""
        self._questions.failed(now)
