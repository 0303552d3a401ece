"""Ended: whose access has ended, and when."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

# Ends that are remembered. One that is forgotten leaves a token to the checks at each
# rendering and of the sweep.
MAX_REMEMBERED = 100_000


class Ended:
    """Sessions, users and tokens whose access has ended, oldest first.

    All times are in seconds since the epoch; sessions and tokens go by their hashes, and
    users by their keys. ``Access`` forgets what is older than any token.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._users: OrderedDict[str, float] = OrderedDict()
        # Tokens that only the project's own tokenizer understands.
        self._bearers: OrderedDict[str, float] = OrderedDict()
        # By which of them each user was last recognized.
        self._recognized: OrderedDict[str, str] = OrderedDict()

    def covers(self, session: str, user: str, bearer: str, rendered: float) -> bool:
        """Has the access ended to what was ``rendered`` then, by any of these?"""
        if session in self._sessions:
            return True
        if rendered <= self._bearers.get(bearer, -1.0):
            return True
        return rendered <= self._users.get(user, -1.0)

    def since(self, user: str) -> float | None:
        """Until when a user's access has ended, if it has."""
        return self._users.get(user)

    def end_session(self, session: str, at: float) -> None:
        remember(self._sessions, session, at)

    def end_user(self, user: str, at: float) -> None:
        """End the access to what was rendered for a user until then."""
        remember(self._users, user, max(at, self._users.get(user, 0)))

    def end_bearer(self, bearer: str, at: float) -> None:
        remember(self._bearers, bearer, at)

    def end_bearer_of(self, user: str, at: float) -> None:
        """End the access by the token by which a user was last recognized, wherever it is."""
        if user in self._recognized:
            remember(self._bearers, self._recognized.pop(user), at)

    def recognize(self, user: str, bearer: str) -> None:
        """A user came by this token."""
        remember(self._recognized, user, bearer)

    def forget(self, before: float) -> None:
        """Forget the ends before a time."""
        for ended in (self._sessions, self._users, self._bearers):
            while ended and next(iter(ended.values())) < before:
                ended.popitem(last=False)

    def dump(self) -> dict[str, Any]:
        return {
            "sessions": self._sessions,
            "users": self._users,
            "bearers": self._bearers,
            "recognized": self._recognized,
        }

    def load(self, value: Any) -> None:
        """Remember what was dumped; raises what reading another value raises."""
        sessions = {str(key): float(at) for key, at in value["sessions"].items()}
        users = {str(key): float(at) for key, at in value["users"].items()}
        # A version before this one had no tokens of the project's own.
        bearers = {str(key): float(at) for key, at in value.get("bearers", {}).items()}
        recognized = {str(user): str(key) for user, key in value.get("recognized", {}).items()}
        self._sessions.update(sessions)
        self._users.update(users)
        self._bearers.update(bearers)
        self._recognized.update(recognized)


def remember(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Note what is newest, and forget what is oldest where there is too much."""
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
