"""The renderers: a pool of child processes, started, fed, timed and replaced."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serverpush.exceptions import RendererFailed
from serverpush.jobs import (
    AccessJob,
    AccessResult,
    Job,
    MatchJob,
    MatchResult,
    RenderResult,
    ResolveJob,
    ResolveResult,
    Result,
)
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop

logger = logging.getLogger("serverpush.server")

START_SECONDS = 60
STOP_SECONDS = 1.5
FIRST_BACKOFF, MAX_BACKOFF = 0.1, 5.0
ATTEMPTS = 2

NextJob = Callable[[], tuple[Any, Job] | None]
OnResult = Callable[[Any, Result], None]
OnFailed = Callable[[Any, str], None]


class Renderer:
    """One child process and the socket to it."""

    def __init__(self) -> None:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise RendererFailed(str(error)) from None
        with theirs:
            try:
                self.process = _start(theirs)
            except OSError as error:
                ours.close()
                raise RendererFailed(str(error)) from None
        self._stream = loop.Stream(ours)
        self._frames: deque[bytes] = deque()
        # Set when a frame has come, when the process is gone, and to wake who is idle.
        self.stirred = loop.Event()
        self.is_gone = False
        self._reader = loop.spawn(self._read)

    def _read(self) -> None:
        while (frame := self._stream.read()) is not None:
            self._frames.append(frame)
            self.stirred.set()
        self.is_gone = True
        self.stirred.set()

    def _next_frame(self) -> bytes | None:
        """The next frame, None where the process is gone."""
        while not self._frames and not self.is_gone:
            self.stirred.clear()
            self.stirred.wait()
        return self._frames.popleft() if self._frames else None

    def wait_ready(self) -> None:
        """Wait for its first frame; raises ``RendererFailed`` with its own reason."""
        try:
            frame = loop.wait_for(START_SECONDS, self._next_frame)
        except TimeoutError:
            raise RendererFailed(f"it was not ready within {START_SECONDS} s") from None
        if frame is None:
            raise RendererFailed("it ended while it started")
        try:
            hello = json.loads(frame)
        except ValueError:
            raise RendererFailed("it speaks no JSON") from None
        if "error" in hello:
            raise RendererFailed(hello["error"])

    def ask(self, job: Job, timeout: float) -> Result | None:
        """Do one job; None where the process died, or speaks nonsense.

        Raises ``TimeoutError`` after ``timeout`` seconds.
        """
        try:
            self._stream.write(json.dumps(job.to_json()).encode())
        except OSError:
            return None
        frame = loop.wait_for(timeout, self._next_frame)
        if frame is None:
            return None
        try:
            return _result(job, json.loads(frame))
        except (KeyError, TypeError, ValueError):
            logger.error("renderer %d: %s", self.process.pid, frame[:200].decode(errors="replace"))
            return None

    def end(self, *, kill: bool = False) -> None:
        """End the process: by closing its socket, or at once."""
        if kill:
            self.process.send_signal(signal.SIGKILL)
        self._stream.close()
        self._reader.cancel()
        waited = 0.0
        while self.process.poll() is None:
            if waited > STOP_SECONDS:
                self.process.kill()
            loop.sleep(0.01)
            waited += 0.01


def _start(sock: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "serverpush.renderer", str(sock.fileno())],
        stdin=subprocess.DEVNULL,
        pass_fds=[sock.fileno()],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        # Ctrl-C is for the push server, which ends its renderers itself.
        process_group=0,
    )


def _result(job: Job, value: dict[str, Any]) -> Result:
    if isinstance(job, MatchJob):
        return MatchResult.from_json(value)
    if isinstance(job, ResolveJob):
        return ResolveResult.from_json(value)
    if isinstance(job, AccessJob):
        return AccessResult.from_json(value)
    return RenderResult.from_json(value)


def _outcome(result: Result | None) -> str:
    if result is None:
        return "died"
    if isinstance(result, RenderResult):
        return result.status
    if isinstance(result, ResolveResult):
        return "done" if result.page else "refused"
    return "failed" if result.error else "done"


@dataclass(slots=True, eq=False)
class _Resolving:
    """A connection by URL that waits for its page."""

    job: ResolveJob
    done: loop.Event = field(default_factory=loop.Event)
    result: ResolveResult | None = None


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
        self._next_job = next_job
        self._on_result = on_result
        self._on_failed = on_failed
        self._telemetry = telemetry
        self._idle: deque[Renderer] = deque()
        self._resolving: deque[_Resolving] = deque()
        self._resolvers = 0
        self._stopping = False
        self._tasks: list[loop.Task] = []

    @property
    def resolving(self) -> int:
        """How many connections by URL wait for a renderer."""
        return len(self._resolving)

    def start(self) -> None:
        """Start all; returns when they are ready. Raises ``RendererFailed`` if one can't start."""
        renderers = [Renderer() for _ in range(self.count)]
        try:
            for renderer in renderers:
                renderer.wait_ready()
        except RendererFailed:
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
        waiting = _Resolving(job)
        self._resolving.append(waiting)
        self.wake()
        waiting.done.wait()
        return waiting.result or ResolveResult(None, "no renderer could resolve it")

    def _keep(self, renderer: Renderer | None) -> None:
        """Keep one renderer running, whatever happens to it."""
        backoff = FIRST_BACKOFF
        unfinished: tuple[Any, Job, int] | None = None
        while not self._stopping:
            try:
                if renderer is None:
                    renderer = Renderer()
                    renderer.wait_ready()
                self.ready += 1
                backoff = FIRST_BACKOFF
                unfinished, reason = self._feed(renderer, unfinished)
                self.ready -= 1
                self._telemetry.replaced(renderer.process.pid, reason)
            except RendererFailed as error:
                logger.error("a renderer could not start: %s", error)
                loop.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF)
            finally:
                if renderer is not None:
                    renderer.end(kill=not self._stopping)
                    renderer = None

    def _feed(
        self, renderer: Renderer, unfinished: tuple[Any, Job, int] | None
    ) -> tuple[tuple[Any, Job, int] | None, str]:
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
            began = time.monotonic()
            try:
                result = renderer.ask(job, self.timeout)
            except TimeoutError:
                self._note(job, "timeout", began)
                self._fail(ticket, f"no result within {self.timeout:g} s")
                return None, "timeout"
            self._note(job, _outcome(result), began)
            if result is not None:
                self._answer(ticket, result)
            elif attempt < ATTEMPTS:
                return (ticket, job, attempt + 1), "died"
            else:
                self._fail(ticket, f"its renderer died, {ATTEMPTS} times")
                return None, "died"

    def _note(self, job: Job, outcome: str, began: float) -> None:
        kind = type(job).__name__.removesuffix("Job").lower()
        self._telemetry.worked(kind, outcome, time.monotonic() - began)

    def _take(self, renderer: Renderer) -> tuple[Any, Job] | None:
        """Wait for a job for an idle renderer; None where it died meanwhile."""
        while not renderer.is_gone:
            # Connections by URL never take the last renderer from the updates.
            if self._resolving and self._resolvers < max(1, self.count - 1):
                self._resolvers += 1
                resolving = self._resolving.popleft()
                return resolving, resolving.job
            found = self._next_job()
            if found is not None:
                return found
            self._idle.append(renderer)
            renderer.stirred.clear()
            renderer.stirred.wait()
        return None

    def _answer(self, ticket: Any, result: Result) -> None:
        if isinstance(ticket, _Resolving):
            self._resolvers -= 1
            assert isinstance(result, ResolveResult)
            ticket.result = result
            ticket.done.set()
        else:
            loop.guard(self._on_result, ticket, result)
        self.wake()

    def _fail(self, ticket: Any, reason: str) -> None:
        if isinstance(ticket, _Resolving):
            self._resolvers -= 1
            ticket.result = ResolveResult(None, reason)
            ticket.done.set()
        else:
            loop.guard(self._on_failed, ticket, reason)
        self.wake()
