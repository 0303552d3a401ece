"""The renderers: a pool of child processes, started, fed, timed and replaced."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serverpush.exceptions import ChildFailed
from serverpush.jobs import Job, ResolveJob, SubscribeJob, UsersJob
from serverpush.results import RenderResult, ResolveResult, Result, SubscribeResult, UsersResult
from serverpush.server.core.turns import Turns
from serverpush.server.renderer import Renderer, started
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop

logger = logging.getLogger("serverpush.server")

FIRST_BACKOFF, MAX_BACKOFF = 0.1, 5.0
ATTEMPTS = 2
# For which a message waits until it is known whether its users exist.
LOOK_SECONDS = 2.0

_Taken = tuple[Any, Job]
NextJob = Callable[[], _Taken | None]
_Try = tuple[Any, Job, int]
OnResult = Callable[[Any, Result], None]
OnFailed = Callable[[Any, str], None]


def _outcome(result: Result | None) -> str:
    if result is None:
        return "died"
    if isinstance(result, RenderResult):
        return result.status
    if isinstance(result, ResolveResult):
        if result.has_failed:
            return "failed"
        return "done" if result.page else "refused"
    return "failed" if result.error else "done"


@dataclass(slots=True, eq=False)
class _Waiting:
    """Whoever waits for what a renderer says: of a URL's page, of a channel, of users."""

    job: ResolveJob | SubscribeJob | UsersJob
    done: loop.Event = field(default_factory=loop.Event)
    result: Result | None = None
    reason: str = "no renderer could be asked"


class Pool:
    """The renderers, and what gives them work.

    Arguments:
        count: renderer processes.
        timeout: seconds that one job may take; then its renderer is replaced.
        next_job: gives the next job and its ticket, None where there is none.
        on_result: takes a ticket and its result.
        on_failed: takes a ticket and the reason why it has no result.
        telemetry: hears of jobs and of replaced renderers.
    """

    def __init__(
        self,
        *,
        count: int,
        timeout: float,
        next_job: NextJob,
        on_result: OnResult,
        on_failed: OnFailed,
        telemetry: Telemetry,
    ) -> None:
        self.count = count
        self.timeout = timeout
        self.ready = 0
        # Does the project receive the signals of subscriptions? As its code was at the start.
        self.listens = False
        self._next_job = next_job
        # Neither the connections by URL nor the updates keep the others waiting.
        self._jobs: Turns[_Taken] = Turns(self._next_resolving, self._next_update)
        self._on_result = on_result
        self._on_failed = on_failed
        self._telemetry = telemetry
        self._idle: deque[Renderer] = deque()
        self._resolving: deque[_Waiting] = deque()
        self._resolvers = 0
        self._stopping = False
        self._tasks: list[loop.Task] = []

    @property
    def resolving(self) -> int:
        """How many connections by URL wait for a renderer."""
        return len(self._resolving)

    def start(self) -> None:
        """Start all; returns when they are ready. Raises ``ChildFailed`` if one can't start."""
        renderers = [Renderer() for _ in range(self.count)]
        try:
            for renderer in renderers:
                renderer.wait_ready()
                self.listens = renderer.listens
        except ChildFailed:
            for renderer in renderers:
                renderer.end(kill=True)
            raise
        self._tasks = [loop.spawn(self._keep, renderer) for renderer in renderers]

    def stop(self) -> None:
        """End all; returns when they are gone."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            task.join()

    def wake(self) -> None:
        """There is work: let idle renderers look for it."""
        while self._idle:
            self._idle.popleft().stirred.set()

    def resolve(self, job: ResolveJob) -> ResolveResult:
        """Have a URL resolved; waits in a queue of its own."""
        waiting = self._wait_for(job)
        if isinstance(waiting.result, ResolveResult):
            return waiting.result
        return ResolveResult(None, waiting.reason, has_failed=True)

    def subscribe(self, job: SubscribeJob) -> SubscribeResult:
        """Have the project asked about a subscription; waits in the same queue."""
        waiting = self._wait_for(job)
        if isinstance(waiting.result, SubscribeResult):
            return waiting.result
        return SubscribeResult(False, error=waiting.reason)

    def look_up(self, job: UsersJob) -> UsersResult | None:
        """Have users looked up, in the same queue; None where nobody can say anything soon."""
        result = self._wait_for(job, LOOK_SECONDS).result if self.ready else None
        return result if isinstance(result, UsersResult) else None

    def _wait_for(
        self, job: ResolveJob | SubscribeJob | UsersJob, timeout: float | None = None
    ) -> _Waiting:
        waiting = _Waiting(job)
        self._resolving.append(waiting)
        self.wake()
        if not waiting.done.wait(timeout) and waiting in self._resolving:
            self._resolving.remove(waiting)
        return waiting

    def _keep(self, renderer: Renderer | None) -> None:
        """Keep one renderer running, whatever happens to it."""
        backoff = FIRST_BACKOFF
        unfinished: _Try | None = None
        while not self._stopping:
            try:
                unfinished = self._employ(renderer or started(), unfinished)
                backoff = FIRST_BACKOFF
            except (ChildFailed, *loop.FAILURES) as error:
                is_known = isinstance(error, ChildFailed)
                logger.error("a renderer could not start: %s", error, exc_info=not is_known)
                loop.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF)
            renderer = None

    def _employ(self, renderer: Renderer, unfinished: _Try | None) -> _Try | None:
        """Give a renderer jobs until it has to be replaced, and end it; the job to try again."""
        self.ready += 1
        try:
            unfinished, reason = self._feed(renderer, unfinished)
            self._telemetry.replaced(renderer.process.pid, reason)
            return unfinished
        finally:
            self.ready -= 1
            renderer.end(kill=not self._stopping)

    def _feed(self, renderer: Renderer, unfinished: _Try | None) -> tuple[_Try | None, str]:
        """Give a renderer jobs until it has to be replaced.

        Returns the job to try again, if any, and the reason.
        """
        while True:
            if unfinished is None:
                taken = self._take(renderer)
                if taken is None:
                    return None, "died"
                unfinished = (*taken, 1)
            ticket, job, attempt = unfinished
            unfinished = None
            result, outcome = self._ask(renderer, job)
            if result is not None:
                self._answer(ticket, result)
            elif outcome == "timeout":
                self._fail(ticket, f"no result within {self.timeout:g} s")
                return None, outcome
            elif attempt < ATTEMPTS:
                return (ticket, job, attempt + 1), outcome
            else:
                self._fail(ticket, f"its renderer died, {ATTEMPTS} times")
                return None, outcome

    def _ask(self, renderer: Renderer, job: Job) -> tuple[Result | None, str]:
        """The result of a job, if there is one, and what became of it."""
        began = time.monotonic()
        try:
            result = renderer.ask(job, self.timeout)
            outcome = _outcome(result)
        except TimeoutError:
            result, outcome = None, "timeout"
        except loop.FAILURES:
            # Whoever waits for this job has to hear of it all the same.
            logger.error("a renderer could not be asked", exc_info=True)
            result, outcome = None, "died"
        kind = type(job).__name__.removesuffix("Job").lower()
        self._telemetry.worked(kind, outcome, time.monotonic() - began)
        return result, outcome

    def _take(self, renderer: Renderer) -> _Taken | None:
        """Wait for a job for an idle renderer; None where it died meanwhile."""
        while not renderer.is_gone:
            found = self._jobs.next()
            if found is not None:
                return found
            self._idle.append(renderer)
            renderer.stirred.clear()
            renderer.stirred.wait()
        return None

    def _next_resolving(self) -> _Taken | None:
        # Connections by URL never take the last renderer from the updates.
        if not self._resolving or self._resolvers >= max(1, self.count - 1):
            return None
        self._resolvers += 1
        resolving = self._resolving.popleft()
        return resolving, resolving.job

    def _next_update(self) -> _Taken | None:
        try:
            return self._next_job()
        except loop.FAILURES:
            # The renderer is not at fault, and there are other jobs.
            logger.error("the next job could not be had", exc_info=True)
            return None

    def _answer(self, ticket: Any, result: Result) -> None:
        if isinstance(ticket, _Waiting):
            self._resolvers -= 1
            ticket.result = result
            ticket.done.set()
        else:
            loop.guard(self._on_result, ticket, result)
        self.wake()

    def _fail(self, ticket: Any, reason: str) -> None:
        if isinstance(ticket, _Waiting):
            self._resolvers -= 1
            ticket.reason = reason
            ticket.done.set()
        else:
            loop.guard(self._on_failed, ticket, reason)
        self.wake()
