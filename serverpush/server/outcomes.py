"""Outcomes: what became of jobs, taken to the part of the core that asked for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from serverpush.results import (
    AccessResult,
    IdentifyResult,
    MatchResult,
    RenderResult,
    Result,
    SubscribeResult,
    UsersResult,
)
from serverpush.server.channels import Channels
from serverpush.server.clock import Clock
from serverpush.server.connections import Connections
from serverpush.server.core.access import Access
from serverpush.server.core.bearers import Sought
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.people import Asked
from serverpush.server.core.presence import Move
from serverpush.server.core.visits import Look
from serverpush.server.emitter import Emitter
from serverpush.server.transport import loop

logger = logging.getLogger("serverpush.server")


class Outcomes:
    """Takes what the renderers answer.

    Arguments:
        gap: marks one, where nobody knows for whom a result was.
    """

    def __init__(
        self,
        *,
        access: Access,
        channels: Channels,
        connections: Connections,
        dispatch: Dispatch,
        messaging: Messaging,
        emitter: Emitter,
        clock: Clock,
        gap: Callable[[str], None],
    ) -> None:
        self._access = access
        self._channels = channels
        self._connections = connections
        self._dispatch = dispatch
        self._messaging = messaging
        self._do = emitter.do
        self._clock = clock
        self._gap = gap

    def answered(self, ticket: Any, result: Result) -> None:
        """Take a job's result."""
        try:
            if isinstance(result, MatchResult | RenderResult):
                self._do(self._dispatch.answer(ticket, result, self._clock()))
            elif isinstance(result, AccessResult):
                self._do(self._access.answer(ticket, result, self._clock()))
                self._connections.looked(ticket.visits)
            elif isinstance(result, IdentifyResult | UsersResult):
                self._do(self._messaging.answer(ticket, result, self._clock()))
            elif isinstance(result, SubscribeResult):
                self._do(self._channels.told(ticket, result.error, allowed=result.allowed))
        except loop.FAILURES:
            logger.error("a result could not be taken", exc_info=True)
            self.failed(ticket, "its result could not be taken")

    def failed(self, ticket: Any, reason: str) -> None:
        """Take it that a job has no result."""
        try:
            if isinstance(ticket, Look):
                self._do(self._access.failed(ticket, reason, self._clock()))
                self._connections.looked(ticket.visits)
            elif isinstance(ticket, Move):
                self._do(self._channels.told(ticket, reason))
            elif isinstance(ticket, Asked | Sought):
                self._do(self._messaging.failed(ticket, reason, self._clock()))
            else:
                self._do(self._dispatch.failed(ticket, reason))
        except loop.FAILURES:
            # Nobody knows for whom it was.
            logger.error("a failure could not be taken", exc_info=True)
            self._gap("the push server made a mistake, which its log tells of")
