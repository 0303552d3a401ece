"""Access: on whose behalf connections are there, and which end because that has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from serverpush.exceptions import BadMessage
from serverpush.jobs import AccessJob
from serverpush.protocol import Ending
from serverpush.results import AccessResult
from serverpush.server.core.actions import Action, End, Report
from serverpush.server.core.ended import Ended, remember
from serverpush.server.core.turns import Turns
from serverpush.server.core.visits import Doubt, Look, Visit
from serverpush.server.core.waits import is_over

SWEEP_SECONDS = 30.0
# After a look that failed; doubled by each that fails next, up to a sweep's time.
FIRST_PAUSE = 1.0
# Visits that one job asks about: as many keys as a query's parameters may hold everywhere.
MAX_VISITS = 500


class Access:
    """Whose access has ended, and whose has to be looked at.

    One look is under way at a time, as it may cost a renderer its whole time-out.
    Of one that failed the halves are looked at, so that one user's trouble is not
    everybody's: whose look fails alone waits for the next sweep, and stays alone.

    Arguments:
        max_age: seconds that a token is accepted, and so an end is remembered.
        now: seconds since the epoch.
    """

    def __init__(self, *, max_age: float, now: float) -> None:
        self._max_age = max_age
        self._visits: dict[str, Visit] = {}
        self._rendered: dict[str, float] = {}
        self._sessions: dict[str, set[str]] = {}
        self._users: dict[str, set[str]] = {}
        self._ended = Ended()
        # The last doubt about each user, oldest first, and by when visits were looked at.
        self._doubts: OrderedDict[str, Doubt] = OrderedDict()
        self._doubted = 0
        self._settled: OrderedDict[tuple[str, str], int] = OrderedDict()
        # Visits for which somebody waits who may not be connected yet.
        self._wanted: set[Visit] = set()
        # What the permissions of a visit's user were when it was last looked at.
        self._stamps: OrderedDict[tuple[str, str], str] = OrderedDict()
        # Visits that have been looked at, and there since: the sweep looks at them again.
        self._fresh: set[tuple[str, str]] = set()
        self._began = now
        self._later: dict[Visit, None] = {}
        self._due: OrderedDict[Visit, None] = OrderedDict()
        # Visits whose last look failed, and in how large a look they may be again.
        self._again: OrderedDict[Visit, None] = OrderedDict()
        self._sizes: dict[Visit, int] = {}
        self._queues = Turns(lambda: self._taken(self._due), lambda: self._taken(self._again))
        self._is_looking = False
        self._pause = 0.0
        self._resume_at: float | None = None
        self._sweep_at = now + SWEEP_SECONDS

    # Connections

    def refuses(self, visit: Visit, rendered: float) -> bool:
        """Has the access ended to what was ``rendered`` then (seconds since the epoch)?"""
        return visit.is_bound and self._ended.covers(
            visit.session, visit.user, visit.bearer, rendered
        )

    def remembers(self, rendered: float) -> bool:
        """Is every end known since something was ``rendered`` (seconds since the epoch)?"""
        return rendered >= self._began

    def know_since(self, began: float, now: float) -> None:
        """Every end since then is known; both in seconds since the epoch.

        The clock may have been set back: what was rendered later than now ends as of now.
        """
        self._began = began
        self._rendered = {id: min(at, now) for id, at in self._rendered.items()}

    def doubts(self, visit: Visit, rendered: float) -> bool:
        """May the access have ended to what was ``rendered`` then (seconds since the epoch)?

        Its user was changed after that, and nobody has looked since.
        """
        if not visit.is_bound:
            return False
        doubt = self._doubts.get(visit.user)
        if doubt is None or rendered > doubt.at:
            return False
        return self._settled.get(visit.name, 0) < doubt.number

    def is_unseen(self, id: str) -> bool:
        """May a connection's session have ended while none of its pages was here?

        It shows what was rendered before the last sweep, which did not find this visit
        here, and nobody has looked since.
        """
        visit = self._visits.get(id)
        if visit is None or not visit.is_bound or visit.name in self._fresh:
            return False
        if not visit.session and not visit.user:
            # By a token alone: whose it is says no look.
            return False
        return self._rendered[id] < self._sweep_at - SWEEP_SECONDS

    def want(self, visit: Visit) -> None:
        """Let a visit be looked at now, for which somebody waits."""
        self._wanted.add(visit)
        self._look_at([visit])

    def add(self, id: str, visit: Visit, rendered: float) -> None:
        """Note a connection and when its page was rendered, in seconds since the epoch."""
        self._visits[id] = visit
        self._rendered[id] = rendered
        if visit.session:
            self._sessions.setdefault(visit.session, set()).add(id)
        if visit.user:
            self._users.setdefault(visit.user, set()).add(id)
        if visit.is_bound and visit.name not in self._fresh and visit not in self._sizes:
            self._later[visit] = None

    def visit(self, id: str) -> Visit | None:
        """On whose behalf a connection is there; None where it is not, or no more."""
        return self._visits.get(id)

    def bind(self, id: str, user: str = "") -> bool:
        """Let a connection end when its session does, or the access of ``user``.

        Returns whether there is still access; where there is none, nothing is changed.
        """
        visit, rendered = self._visits.get(id), self._rendered.get(id, 0.0)
        if visit is None:
            return False
        bound = replace(visit, user=visit.user or user, is_bound=True)
        if self.refuses(bound, rendered):
            self._end_bearer(visit, self._ended.since(bound.user))
            return False
        if bound != visit:
            self.discard(id)
            self.add(id, bound, rendered)
        if bound.bearer and bound.user:
            self._ended.recognize(bound.user, bound.bearer)
            # Nobody has looked yet whether it still has access: its token does not say.
            self._later[bound] = None
        return True

    def discard(self, id: str) -> None:
        visit = self._visits.pop(id, None)
        self._rendered.pop(id, None)
        if visit is not None:
            _discard(self._sessions, visit.session, id)
            _discard(self._users, visit.user, id)

    # What has ended

    def end(self, ending: Ending, now: float) -> list[Action]:
        """End the connections of users and sessions, and look at those in doubt."""
        self._forget(now)
        ids: set[str] = set()
        changed: set[str] = set()
        for session in ending.sessions:
            self._ended.end_session(session, now)
            ids |= self._sessions.get(session, set())
        for id in ids:
            self._stamps.pop(self._visits[id].name, None)
        at = min(ending.at or now, now)
        for user in ending.users:
            ids |= self._end_user(user, at)
        for user in ending.changed:
            changed |= self._end_pages(user, at)
        for id in changed:
            # What comes next is not to be compared with what was before.
            self._stamps.pop(self._visits[id].name, None)
        for user in ending.doubtful:
            self._doubt(user, at)
            self._look_at(self._visits[id] for id in sorted(self._users.get(user, ())))
        return [*_ends(ids), *_ends(changed - ids, "access")]

    def tick(self, now: float) -> None:
        """Let what is due be looked at: new visits, and at times everybody."""
        if self._resume_at is not None and is_over(self._resume_at, self._pause, now):
            self._resume_at = None
        self._look_at(self._later)
        self._later.clear()
        if is_over(self._sweep_at, SWEEP_SECONDS, now):
            self._sweep_at = now + SWEEP_SECONDS
            self._forget(now)
            there = dict.fromkeys(each for each in self._visits.values() if each.is_bound)
            self._sizes = {each: size for each, size in self._sizes.items() if each in there}
            self._fresh.intersection_update(each.name for each in there)
            self._look_at(there)

    def next_job(self) -> tuple[Look, AccessJob] | None:
        """The visits that a renderer has to look at next, and the job that does."""
        if self._is_looking or self._resume_at is not None:
            return None
        visits = self._queues.next()
        if visits is None:
            return None
        self._is_looking = True
        return Look(visits, self._doubted), AccessJob(
            tuple((each.key, each.user) for each in visits)
        )

    def answer(self, look: Look, result: AccessResult, now: float) -> list[Action]:
        """Take the result of a job; ``now`` in seconds since the epoch."""
        if len(result.stamps) != len(look.visits):
            return self.failed(look, result.error or "not all were answered", now)
        self._is_looking = False
        self._wanted.difference_update(look.visits)
        self._pause = 0.0
        over: set[str] = set()
        changed: set[str] = set()
        for place, (visit, stamp) in enumerate(zip(look.visits, result.stamps, strict=True)):
            self._sizes.pop(visit, None)
            if place in result.unknown:
                continue
            if stamp is None:
                over |= self._over(visit, now)
            elif visit.user and self._stamps.get(visit.name, stamp) != stamp:
                changed |= self._end_pages(visit.user, now)
            if stamp is not None:
                remember(self._stamps, visit.name, stamp)
                remember(self._settled, visit.name, look.doubts)
                self._fresh.add(visit.name)
        return [*_unknown(result), *_ends(over), *_ends(changed - over, "access")]

    def failed(self, look: Look, reason: str, now: float) -> list[Action]:
        """Take it that a job has no result; ``now`` in seconds since the epoch."""
        self._is_looking = False
        self._wanted.difference_update(look.visits)
        self._pause = min(max(FIRST_PAUSE, 2 * self._pause), SWEEP_SECONDS)
        self._resume_at = now + self._pause
        size = -(-len(look.visits) // 2)
        self._sizes.update(dict.fromkeys(look.visits, size))
        for visit in look.visits:
            self._due.pop(visit, None)
        if len(look.visits) > 1:
            self._look_at(look.visits)
        return [Report(f"sessions could not be looked at: {reason}")]

    def _over(self, visit: Visit, now: float) -> set[str]:
        """The connections of a visit that is no more."""
        self._stamps.pop(visit.name, None)
        self._fresh.discard(visit.name)
        if visit.session:
            self._ended.end_session(visit.session, now)
            return self._sessions.get(visit.session, set())
        return self._end_user(visit.user, now)

    def _end_pages(self, user: str, at: float) -> set[str]:
        """End what was rendered for a user until then; returns its connections."""
        self._ended.end_user(user, at)
        return {id for id in self._users.get(user, ()) if self._rendered[id] <= at}

    def _end_user(self, user: str, at: float) -> set[str]:
        """The same, and its tokens by the project's own tokenizer, whose age nobody knows."""
        ids = self._end_pages(user, at)
        for id in ids:
            self._end_bearer(self._visits[id], at)
        self._ended.end_bearer_of(user, at)
        return ids

    def _end_bearer(self, visit: Visit, at: float | None) -> None:
        if visit.bearer and at is not None:
            self._ended.end_bearer(visit.bearer, at)

    def _doubt(self, user: str, at: float) -> None:
        self._doubted += 1
        remember(self._doubts, user, Doubt(at, self._doubted))

    def _ids(self, visit: Visit) -> set[str]:
        if visit.session:
            return self._sessions.get(visit.session, set())
        return self._users.get(visit.user, set())

    def _look_at(self, visits: Iterable[Visit]) -> None:
        for visit in visits:
            (self._again if visit in self._sizes else self._due)[visit] = None

    def _taken(self, queue: OrderedDict[Visit, None]) -> tuple[Visit, ...] | None:
        """Take the next visits that may be looked at together; None where there are none."""
        found: list[Visit] = []
        size = MAX_VISITS
        while queue and len(found) < size:
            visit = next(iter(queue))
            its_size = self._sizes.get(visit, MAX_VISITS)
            if found and its_size != size:
                break
            del queue[visit]
            if visit in self._wanted or self._ids(visit):
                found.append(visit)
                size = its_size
            else:
                # Should it be back before the next sweep, it is looked at as any other.
                self._sizes.pop(visit, None)
        return tuple(found) or None

    def _forget(self, now: float) -> None:
        """Forget ends and doubts that are older than any token."""
        self._ended.forget(now - self._max_age)
        while self._doubts and next(iter(self._doubts.values())).at < now - self._max_age:
            self._doubts.popitem(last=False)

    # For the next start of the server

    def dump(self) -> dict[str, Any]:
        """What is remembered, without any secret."""
        return {
            "began": self._began,
            **self._ended.dump(),
            "doubts": {user: doubt.at for user, doubt in self._doubts.items()},
            "stamps": [[*name, stamp] for name, stamp in self._stamps.items()],
            "fresh": sorted(self._fresh),
            "sweep_at": self._sweep_at,
        }

    def load(self, value: Any) -> None:
        """Remember what was dumped; raises ``BadMessage`` where it is not whole."""
        try:
            began = float(value["began"])
            doubts = [(str(user), float(at)) for user, at in value["doubts"].items()]
            stamps = {(str(one), str(other)): str(it) for one, other, it in value["stamps"]}
            # A version before this one did not tell who had been looked at.
            fresh = {(str(one), str(other)) for one, other in value.get("fresh", ())}
            sweep_at = float(value.get("sweep_at", 0))
            self._ended.load(value)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadMessage(f"it can't be read ({type(error).__name__})") from error
        self._began = began
        self._stamps.update(stamps)
        if sweep_at > self._sweep_at - 2 * SWEEP_SECONDS:
            # They were there at most a sweep's time ago, and are to be looked at by the next.
            self._fresh = fresh
            self._sweep_at = min(sweep_at, self._sweep_at)
        for user, at in doubts:
            self._doubt(user, at)


def _unknown(result: AccessResult) -> list[Action]:
    if not result.unknown:
        return []
    count = f"{len(result.unknown)} of {len(result.stamps)}"
    return [Report(f"{count} sessions could not be looked at: {result.error}")]


def _ends(ids: set[str], refresh: str = "") -> list[Action]:
    return [End(tuple(sorted(ids)), refresh)] if ids else []


def _discard(index: dict[str, set[str]], key: str, id: str) -> None:
    ids = index.get(key)
    if ids is not None:
        ids.discard(id)
        if not ids:
            del index[key]
