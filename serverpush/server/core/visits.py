"""Visits: on whose behalf connections are there, and what is to be found out about them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visit:
    """On whose behalf a connection is there; each empty where there is none.

    ``key`` is the session's key by the handshake's cookie and ``session`` its
    hash; ``user`` the user for whom the page was rendered. ``is_bound`` is False
    where the page is the same for everybody. ``bearer`` is the hash of a token that
    only the project's own tokenizer understands.
    """

    key: str = ""
    session: str = ""
    user: str = ""
    is_bound: bool = True
    bearer: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """What tells visits apart, without the key, which is a secret."""
        return self.session, self.user


@dataclass(frozen=True, slots=True)
class Look:
    """Visits that are being looked at, and the number of doubts that there had been by then."""

    visits: tuple[Visit, ...]
    doubts: int = 0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A user was changed, and may have no access any more.

    ``at`` is when that was committed, in seconds since the epoch; ``number`` counts
    the doubts: a look that began later has settled this one.
    """

    at: float
    number: int
