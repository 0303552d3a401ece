"""The parts of a push server, each given what it needs of the others."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from serverpush import tokens
from serverpush.conf import Config, channel, config, is_loopback, longest_history, with_redis
from serverpush.exceptions import CannotStart
from serverpush.jobs import Job
from serverpush.messages import Topic, most_data
from serverpush.protocol import ModelInfo, Position
from serverpush.server import state
from serverpush.server.admission import Admissions
from serverpush.server.bodies import Bodies, Reported
from serverpush.server.channels import Channels
from serverpush.server.clock import Clock
from serverpush.server.connections import Connections
from serverpush.server.core.access import Access
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log
from serverpush.server.core.messaging import Messaging
from serverpush.server.core.presence import Presence
from serverpush.server.core.turns import Turns
from serverpush.server.emitter import Emitter
from serverpush.server.intake import Intake
from serverpush.server.notifier import Notifier
from serverpush.server.outcomes import Outcomes
from serverpush.server.renderers import Pool
from serverpush.server.site import Site
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import Limits, Transport, loop

if TYPE_CHECKING:
    from serverpush.server.cluster import Cluster

logger = logging.getLogger("serverpush.server")

# Seconds by which a site on another machine, which sets its clock by a time
# server, may be ahead. On this one it has the same clock.
REMOTE_SKEW = 1.0


class Feed(Protocol):
    """What takes what this server is told: its own log, or the one that several share."""

    def take(self, reported: Reported) -> Position: ...

    def gap(self, reason: str) -> None: ...


class Parts:
    """Made and wired; ``opened`` is set when it is known what is in the log.

    Arguments:
        chosen: the settings.
        models: what is known of each model, by label.
        served: the address where browsers connect.
        health: the fields of ``GET /health``.
        site: takes the requests that are not for the push server, if there is one.
    """

    def __init__(
        self,
        chosen: Config,
        *,
        models: dict[str, ModelInfo],
        served: str,
        health: Callable[[], dict[str, Any]],
        site: Site | None = None,
    ) -> None:
        self._config = chosen
        self.clock = Clock()
        self.opened = loop.Event()
        now = self.clock()
        self.telemetry = Telemetry()
        self.access = Access(max_age=chosen.token_max_age, now=now)
        self.log = Log(
            epoch=secrets.token_hex(4),
            now=now,
            size=chosen.history_size,
            seconds=chosen.history_seconds,
            limits=_limits,
            longest=longest_history(),
        )
        skew = 0.0 if self._is_local() else REMOTE_SKEW
        self.dispatch = Dispatch(self.log, models, skew=skew)
        self.messaging = Messaging(
            self.log,
            self.dispatch.registry,
            self.dispatch.unsettled,
            self.access.bind,
            chosen.send_buffer // 2,
        )
        name = secrets.token_hex(8) if chosen.is_shared else ""
        self.presence = Presence(lambda id: channel(id).presence, lambda: self.pool.listens, name)
        jobs: Turns[tuple[Any, Job]] = Turns(
            self.access.next_job,
            self.messaging.next_job,
            self.presence.next_job,
            self.dispatch.next_job,
        )
        self.pool = Pool(
            count=chosen.renderers,
            timeout=chosen.render_timeout,
            next_job=jobs.next,
            on_result=lambda ticket, result: self._outcomes.answered(ticket, result),
            on_failed=lambda ticket, reason: self._outcomes.failed(ticket, reason),
            telemetry=self.telemetry,
        )
        self.transport = Transport(
            limits=Limits(send_buffer=chosen.send_buffer, max_connections=chosen.max_connections),
            origin_allowed=lambda environ: self.connections.origin_allowed(environ),
            on_connect=lambda client, auth: self.connections.connect(client, auth),
            on_joined=lambda client: self.connections.joined(client),
            on_event=lambda client, name, args: self.connections.event(client, name, args),
            on_disconnect=lambda client, reason: self.connections.disconnected(client, reason),
            on_refused=lambda client, code: self.connections.refused(client, code),
            logger=logger,
            fallback=site,
            is_open=lambda: self.cluster is None or self.cluster.is_open,
        )
        self.emitter = Emitter(
            self.transport,
            self.telemetry,
            self.clock,
            send_buffer=chosen.send_buffer,
            forget=lambda id: self.connections.forget(id),
            untell=self.dispatch.untell,
            # Which of several it is concerns developers only.
            server=served if chosen.is_shared and settings.DEBUG else "",
        )
        self.channels = Channels(
            self.messaging,
            self.presence,
            self.dispatch.registry,
            self.access,
            ask=self.pool.subscribe,
            do=self.emitter.do,
            position=lambda since: self.connections.position(since),
            head=lambda: self.log.head,
            wake=self.pool.wake,
            see=lambda id: self.connections.see(id),
            hook=chosen.channel_permission is not None,
            share=self._share,
        )
        self.connections = Connections(
            admissions=Admissions(
                self.pool.resolve,
                self.access.refuses,
                lambda: self.log.head,
                report=self.telemetry.failed,
                shift=self.clock.shift,
            ),
            access=self.access,
            dispatch=self.dispatch,
            messaging=self.messaging,
            channels=self.channels,
            emitter=self.emitter,
            telemetry=self.telemetry,
            clock=self.clock,
            wake=self.pool.wake,
            timeout=chosen.render_timeout,
            knows=lambda position: self.cluster is None or self.cluster.knows(position),
        )
        self.intake = Intake(
            access=self.access,
            dispatch=self.dispatch,
            messaging=self.messaging,
            emitter=self.emitter,
            telemetry=self.telemetry,
            clock=self.clock,
            wake=self.pool.wake,
            look_up=self.pool.look_up,
        )
        self._outcomes = Outcomes(
            access=self.access,
            channels=self.channels,
            connections=self.connections,
            dispatch=self.dispatch,
            messaging=self.messaging,
            emitter=self.emitter,
            clock=self.clock,
            gap=lambda reason: self.feed.gap(reason),
        )
        bodies = Bodies(models, settings.AUTH_USER_MODEL.lower())
        self.cluster = self._cluster(bodies, name) if chosen.is_shared else None
        self.feed: Feed = self.cluster or self.intake
        self.notifier = Notifier(
            keys=tokens.notifier_keys(),
            bodies=bodies,
            take=self.feed.take,
            missing=self.intake.missing,
            health=health,
            present=self.presence.present,
            most_data=most_data(chosen.send_buffer),
            telemetry=self.telemetry,
        )
        self.kept = state.Kept(self.log, self.access, self.presence, self.notifier)
        self._watch()
        if self.cluster is None:
            self.opened.set()

    def _is_local(self) -> bool:
        """Is the site on this machine, so that its clock is this one's?"""
        if self._config.is_shared:
            return is_loopback(urlsplit(self._config.backend).hostname or "localhost")
        return is_loopback(self._config.notifier_host)

    def _cluster(self, bodies: Bodies, name: str) -> Cluster:
        try:
            kind: type[Cluster] = with_redis("serverpush.server.cluster.Cluster")
        except ImproperlyConfigured as error:
            raise CannotStart(str(error)) from None
        return kind(
            self._config.backend,
            bodies=bodies,
            intake=self.intake,
            log=self.log,
            access=self.access,
            clock=self.clock,
            telemetry=self.telemetry,
            is_local=self._is_local(),
            presence=self.presence,
            name=name,
            on_open=self.opened.set,
        )

    def _watch(self) -> None:
        """Let the metrics show what is there to be counted at any time."""
        watch = self.telemetry.watch
        watch("connections", "Connections", lambda: len(self.transport.clients))
        watch("renderers", "Renderers that are ready", lambda: self.pool.ready)
        watch("log_entries", "Entries of the log", lambda: len(self.log))
        watch("matchings_waiting", "Instances to be matched", lambda: self.dispatch.matchings)
        watch("renderings_waiting", "Renderings to be made", lambda: self.dispatch.renderings)
        watch("resolvings_waiting", "URLs to be resolved", lambda: self.pool.resolving)
        cluster, meaning = self.cluster, "Seconds for which nothing of its own was read in the log"
        watch("unheard_seconds", meaning, lambda: cluster.unheard if cluster else 0)

    def _share(self) -> None:
        if self.cluster is not None:
            self.cluster.share()


def _limits(topic: Topic) -> tuple[int, float]:
    """How many messages of a topic are kept, and for how many seconds."""
    kind, _, name = topic.partition(":")
    if kind != "channel":
        return config().history_size, config().history_seconds
    chosen = channel(name)
    return chosen.history, chosen.seconds
