"""A renderer: a child process that does one job at a time."""

from __future__ import annotations

import json
import logging
from typing import Any

from serverpush.exceptions import ServerPushError
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
from serverpush.server.child import Child
from serverpush.server.transport import loop

logger = logging.getLogger("serverpush.server")

# What reading a result raises that is none.
_NONSENSE = (
    AttributeError,
    LookupError,
    RecursionError,
    ServerPushError,
    TypeError,
    ValueError,
)


class Renderer(Child):
    """One child process that renders."""

    def __init__(self) -> None:
        super().__init__("serverpush.renderer")
        # Does the project receive the signals of subscriptions?
        self.listens = False

    def wait_ready(self) -> dict[str, Any]:
        hello = super().wait_ready()
        self.listens = bool(hello.get("listens"))
        return hello

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
            self.stream.write(frame)
        except OSError:
            return None
        return self.next_frame()


def started() -> Renderer:
    """A new one, that is ready; raises ``ChildFailed``."""
    renderer = Renderer()
    try:
        renderer.wait_ready()
    except BaseException:
        renderer.end(kill=True)
        raise
    return renderer


_RESULTS: dict[type[Job], type[Result]] = {
    MatchJob: MatchResult,
    RenderJob: RenderResult,
    ResolveJob: ResolveResult,
    AccessJob: AccessResult,
    IdentifyJob: IdentifyResult,
    UsersJob: UsersResult,
    SubscribeJob: SubscribeResult,
}
