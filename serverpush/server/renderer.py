"""A renderer: a child process that does one job at a time."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque

from serverpush.exceptions import RendererFailed, ServerPushError
from serverpush.jobs import (
    AccessJob,
    IdentifyJob,
    Job,
    MatchJob,
    RenderJob,
    ResolveJob,
    SubscribeJob,
    UsersJob,
)
from serverpush.results import (
    AccessResult,
    IdentifyResult,
    MatchResult,
    RenderResult,
    ResolveResult,
    Result,
    SubscribeResult,
    UsersResult,
)
from serverpush.server.transport import loop

logger = logging.getLogger("serverpush.server")

START_SECONDS = 60
STOP_SECONDS = 1.5
# What reading a result raises that is none.
_NONSENSE = (
    AttributeError,
    LookupError,
    RecursionError,
    ServerPushError,
    TypeError,
    ValueError,
)


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
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise RendererFailed(str(error)) from None
                raise
        self._stream = loop.Stream(ours)
        self._frames: deque[bytes] = deque()
        # Set when a frame has come, when the process is gone, and to wake who is idle.
        self.stirred = loop.Event()
        self.is_gone = False
        # Does the project receive the signals of subscriptions?
        self.listens = False
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
        self.listens = bool(hello.get("listens"))

    def ask(self, job: Job, timeout: float) -> Result | None:
        """Do one job; None where the process died, or speaks nonsense.

        Raises ``TimeoutError`` after ``timeout`` seconds.
        """
        # A process that is stopped does not even read.
        frame = loop.wait_for(timeout, self._exchange, json.dumps(job.to_json()).encode())
        if frame is None:
            return None
        try:
            return _RESULTS[type(job)].from_json(json.loads(frame))
        except _NONSENSE as error:
            # Not the result itself: it may hold a payload.
            told = (self.process.pid, len(frame), type(error).__name__)
            logger.error("renderer %d: a result of %d bytes can't be read (%s)", *told)
            return None

    def _exchange(self, frame: bytes) -> bytes | None:
        try:
            self._stream.write(frame)
        except OSError:
            return None
        return self._next_frame()

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


def started() -> Renderer:
    """A new one, that is ready; raises ``RendererFailed``."""
    renderer = Renderer()
    try:
        renderer.wait_ready()
    except BaseException:
        renderer.end(kill=True)
        raise
    return renderer


def _start(sock: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "serverpush.renderer", str(sock.fileno())],
        stdin=subprocess.DEVNULL,
        pass_fds=[sock.fileno()],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        # Ctrl-C is for the push server, which ends its renderers itself.
        process_group=0,
    )


_RESULTS: dict[type[Job], type[Result]] = {
    MatchJob: MatchResult,
    RenderJob: RenderResult,
    ResolveJob: ResolveResult,
    AccessJob: AccessResult,
    IdentifyJob: IdentifyResult,
    UsersJob: UsersResult,
    SubscribeJob: SubscribeResult,
}
