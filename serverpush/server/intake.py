"""Intake: what the notifier port takes, applied to the core in the order in which it came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from serverpush.jobs import UsersJob
from serverpush.protocol import Ending, Gap, Position
from serverpush.results import UsersResult
from serverpush.server.bodies import Reported
from serverpush.server.clock import Clock
from serverpush.server.core.access import Access
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.messaging import Messaging
from serverpush.server.emitter import Emitter
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop

Entry = TypeVar("Entry")

# For which one body of changes, or what was read of a log, may keep everybody else waiting.
TURN_SECONDS = 0.005
# Users that one job looks for: as many keys as a query's parameters may hold everywhere.
MAX_USERS = 500


class Intake:
    """Feeds the log.

    Arguments:
        wake: lets idle renderers look for work.
        look_up: has a renderer look for users, None where nobody can say soon; may wait.
    """

    def __init__(
        self,
        *,
        access: Access,
        dispatch: Dispatch,
        messaging: Messaging,
        emitter: Emitter,
        telemetry: Telemetry,
        clock: Clock,
        wake: Callable[[], None],
        look_up: Callable[[UsersJob], UsersResult | None],
    ) -> None:
        # Did it succeed when it was last done?
        self.is_fed = True
        self._access = access
        self._dispatch = dispatch
        self._messaging = messaging
        self._emitter = emitter
        self._telemetry = telemetry
        self._clock = clock
        self._wake = wake
        self._look_up = look_up
        self._is_stopping = False

    def stop(self) -> None:
        """Log what is being applied without a pause, and send it no more.

        Clients get it from the next server, which knows the batch as applied: else half of
        it would come twice.
        """
        self._is_stopping = True
        # A rendering that ends now must not tell them that they have had it.
        self._dispatch.hold()

    def take(self, reported: Reported) -> Position:
        """Apply what is reported; returns where the log stands then."""
        try:
            if reported.gap:
                self.gap(reported.gap)
            for change, now in self._in_turns(reported.changes):
                self._dispatch.changed(change, now)
            for message, now in self._in_turns(reported.messages):
                _, actions = self._messaging.published(message, now)
                if not self._is_stopping:
                    self._emitter.do(actions)
            if reported.ending is not None:
                self._end(reported.ending)
        except Exception:
            # It shows in /health until it succeeds again.
            self.is_fed = False
            raise
        self.is_fed = True
        self._telemetry.changed(len(reported.changes))
        self._telemetry.published(len(reported.messages))
        self._wake()
        return self._dispatch.log.head

    def gap(self, reason: str) -> None:
        """Changes were lost: nobody is up to date."""
        self._telemetry.gap(reason)
        self._emitter.do(self._dispatch.gap(Gap(reason), self._clock()))

    def renewed(self, reason: str) -> None:
        """The log is another now, which covers nothing that was before: nobody is up to date."""
        self._telemetry.gap(reason)
        self._emitter.do(self._dispatch.refresh_all())

    def missing(self, users: list[str]) -> list[str]:
        """Those of the users, by their keys as text, who do not exist, as far as that is known."""
        missing: list[str] = []
        for begin in range(0, len(users), MAX_USERS):
            job = UsersJob(tuple(users[begin : begin + MAX_USERS]))
            result = self._look_up(job)
            if result is None or len(result.found) != len(job.users):
                break
            found = zip(job.users, result.found, strict=True)
            missing += [user for user, token in found if token is None]
        return missing

    def _end(self, ending: Ending) -> None:
        self._messaging.ended(ending)
        self._emitter.do(self._access.end(ending, self._clock()))

    def _in_turns(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, float]]:
        """Each with the time; others have their turn while these are many."""
        now = self._clock()
        for entry in entries:
            yield entry, now
            if self._clock() - now > TURN_SECONDS and not self._is_stopping:
                self._wake()
                loop.sleep()
                now = self._clock()
