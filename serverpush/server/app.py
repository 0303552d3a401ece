"""The push server: wires log, dispatch, transport, notifier and renderers."""

from __future__ import annotations

import gc
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from serverpush import tokens
from serverpush.conf import (
    Config,
    channel,
    config,
    is_loopback,
    longest_history,
    losses_file,
    with_redis,
)
from serverpush.exceptions import CannotStart, ChildFailed
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
from serverpush.words import Words

if TYPE_CHECKING:
    from serverpush.server.cluster import Cluster

logger = logging.getLogger("serverpush.server")

NOTIFIER_CONNECTIONS = 1000
TICK_SECONDS = 1.0
STOP_SECONDS = 1.0
# For receivers of the channels' signals that are at work when the server ends.
SUBSCRIBE_SECONDS = 0.5
# What a clock may be set back by without a word.
CLOCK_SECONDS = 1.0
# Seconds by which a site on another machine, which sets its clock by a time
# server, may be ahead. On this one it has the same clock.
REMOTE_SKEW = 1.0


@dataclass(frozen=True)
class Addresses:
    """Where the server listens: hosts and ports, port 0 for any free one."""

    host: str
    port: int
    notifier_host: str
    notifier_port: int


class Feed(Protocol):
    """What takes what this server is told: its own log, or the one that several share."""

    def take(self, reported: Reported) -> Position: ...

    def gap(self, reason: str) -> None: ...


class PushServer:
    """The process behind ``runserverpush``.

    Arguments:
        config: the settings.
        addresses: where to listen.
        models: what is known of each model, by label.
        state_file: gives the state file's path for the port that is served.
        serves_site: let all requests that are not for it be answered by the Django site.
    """

    def __init__(
        self,
        *,
        config: Config,
        addresses: Addresses,
        models: dict[str, ModelInfo],
        state_file: Callable[[int], Path],
        serves_site: bool = False,
    ) -> None:
        self.config = config
        self.addresses = addresses
        self._state_file = state_file
        self._models = models
        self._waker = loop.Waker()
        self._clock = Clock()
        self._opened = loop.Event()
        self._site = Site() if serves_site else None
        self._is_ticking = True

    def stop(self) -> None:
        """End ``run``, from any thread or signal handler."""
        self._waker.wake()

    def run(self, ready: Callable[[Addresses, int], None]) -> None:
        """Serve until ``stop``.

        ``ready`` is called once, with the addresses and the number of renderers,
        when connections and changes are taken. Raises ``CannotStart`` for a port
        in use and for renderers that can't start.
        """
        loop.run(self._run, ready)

    def _run(self, ready: Callable[[Addresses, int], None]) -> None:
        addresses = self.addresses
        sock = _listen(addresses.host, addresses.port, "SERVERPUSH_PORT")
        notifier_sock = _listen(
            addresses.notifier_host, addresses.notifier_port, "SERVERPUSH_NOTIFIER_PORT"
        )
        host, port = sock.getsockname()[:2]
        notifier_host, notifier_port = notifier_sock.getsockname()[:2]
        self._served = f"{host}:{port}"
        self._build()
        try:
            self.pool.start()
        except ChildFailed as error:
            raise CannotStart(f"a renderer can't start: {error}") from None
        if self._site is not None:
            self._start_site(self._site, port, notifier_host, notifier_port)
        path = self._state_file(port)
        if self.cluster is not None:
            self.cluster.start()
        # Not before: it can be taken only once.
        elif state.load(self._kept, path, self._clock()):
            logger.info("continuing the log of %s", path)
        servers = [
            loop.serve(
                sock,
                self.transport.wsgi_app,
                max_connections=self.transport.limits.max_http,
                log=logger,
            ),
            loop.serve(
                notifier_sock, self.notifier, max_connections=NOTIFIER_CONNECTIONS, log=logger
            ),
        ]
        # Of several, any of a machine may hear what the site's processes leave there.
        left_at = config().port if self.config.is_shared else port
        ticking = loop.spawn(self._tick, Words(losses_file(left_at)))
        # What has been loaded stays: looking at it again and again would keep clients waiting.
        gc.collect()
        gc.freeze()
        if self.cluster is None:
            self._opened.set()
        listening = Addresses(host, port, notifier_host, notifier_port)
        waiting = loop.spawn(self._say_ready, ready, listening)
        try:
            self._waker.wait()
        finally:
            waiting.cancel()
            ticking.cancel()
            # While what receivers send still is taken.
            self._channels.stop(SUBSCRIBE_SECONDS)
            if self._site is not None:
                # While it still can report what it has.
                self._site.stop()
            # A body that is being applied is applied to its end.
            self.intake.stop()
            self.notifier.stop(STOP_SECONDS)
            for server in servers:
                server.stop()
            if self.cluster is not None:
                self.cluster.stop()
            else:
                state.save(self._kept, path)
            self.transport.stop()
            self.pool.stop()

    def _say_ready(self, ready: Callable[[Addresses, int], None], listening: Addresses) -> None:
        self._opened.wait()
        ready(listening, self.config.renderers)

    def _start_site(self, site: Site, port: int, notifier_host: str, notifier_port: int) -> None:
        settings = {
            "SERVERPUSH_PORT": port,
            "SERVERPUSH_NOTIFIER_HOST": notifier_host,
            "SERVERPUSH_NOTIFIER_PORT": notifier_port,
        }
        if self.config.url is None:
            # Pages come from the very port that they connect to.
            settings["SERVERPUSH_URL"] = ""
        try:
            site.start(**settings)
        except ChildFailed as error:
            self.pool.stop()
            raise CannotStart(f"the site can't start: {error}") from None

    def _build(self) -> None:
        config, now = self.config, self._clock()
        self.telemetry = Telemetry()
        self.access = Access(max_age=config.token_max_age, now=now)
        self.log = Log(
            epoch=secrets.token_hex(4),
            now=now,
            size=config.history_size,
            seconds=config.history_seconds,
            limits=_limits,
            longest=longest_history(),
        )
        skew = 0.0 if self._is_local() else REMOTE_SKEW
        self.dispatch = Dispatch(self.log, self._models, skew=skew)
        self.messaging = Messaging(
            self.log,
            self.dispatch.registry,
            self.dispatch.unsettled,
            self.access.bind,
            config.send_buffer // 2,
        )
        name = secrets.token_hex(8) if config.is_shared else ""
        self.presence = Presence(lambda id: channel(id).presence, lambda: self.pool.listens, name)
        jobs: Turns[tuple[Any, Job]] = Turns(
            self.access.next_job,
            self.messaging.next_job,
            self.presence.next_job,
            self.dispatch.next_job,
        )
        self.pool = Pool(
            count=config.renderers,
            timeout=config.render_timeout,
            next_job=jobs.next,
            on_result=lambda ticket, result: self._outcomes.answered(ticket, result),
            on_failed=lambda ticket, reason: self._outcomes.failed(ticket, reason),
            telemetry=self.telemetry,
        )
        self.transport = Transport(
            limits=Limits(send_buffer=config.send_buffer, max_connections=config.max_connections),
            origin_allowed=lambda environ: self._connections.origin_allowed(environ),
            on_connect=lambda client, auth: self._connections.connect(client, auth),
            on_joined=lambda client: self._connections.joined(client),
            on_event=lambda client, name, args: self._connections.event(client, name, args),
            on_disconnect=lambda client, reason: self._connections.disconnected(client, reason),
            on_refused=lambda client, code: self._connections.refused(client, code),
            logger=logger,
            fallback=self._site,
        )
        self._emitter = Emitter(
            self.transport,
            self.telemetry,
            self._clock,
            send_buffer=config.send_buffer,
            forget=lambda id: self._connections.forget(id),
            untell=self.dispatch.untell,
            # Which of several it is concerns developers only.
            server=self._served if config.is_shared and settings.DEBUG else "",
        )
        self._channels = Channels(
            self.messaging,
            self.presence,
            self.dispatch.registry,
            self.access,
            ask=self.pool.subscribe,
            do=self._emitter.do,
            position=lambda since: self._connections.position(since),
            head=lambda: self.log.head,
            wake=self.pool.wake,
            see=lambda id: self._connections.see(id),
            hook=config.channel_permission is not None,
            share=self._share,
        )
        self._connections = Connections(
            admissions=Admissions(
                self.pool.resolve,
                self.access.refuses,
                lambda: self.log.head,
                report=self.telemetry.failed,
            ),
            access=self.access,
            dispatch=self.dispatch,
            messaging=self.messaging,
            channels=self._channels,
            emitter=self._emitter,
            telemetry=self.telemetry,
            clock=self._clock,
            wake=self.pool.wake,
            timeout=config.render_timeout,
            knows=lambda position: self.cluster is None or self.cluster.knows(position),
        )
        self.intake = Intake(
            access=self.access,
            dispatch=self.dispatch,
            messaging=self.messaging,
            emitter=self._emitter,
            telemetry=self.telemetry,
            clock=self._clock,
            wake=self.pool.wake,
            look_up=self.pool.look_up,
        )
        self._outcomes = Outcomes(
            access=self.access,
            channels=self._channels,
            connections=self._connections,
            dispatch=self.dispatch,
            messaging=self.messaging,
            emitter=self._emitter,
            clock=self._clock,
            gap=lambda reason: self._feed.gap(reason),
        )
        bodies = Bodies(self._models, settings.AUTH_USER_MODEL.lower())
        self.cluster = self._cluster(bodies, name) if config.is_shared else None
        self._feed: Feed = self.cluster or self.intake
        self.notifier = Notifier(
            keys=tokens.notifier_keys(),
            bodies=bodies,
            take=self._feed.take,
            missing=self.intake.missing,
            health=self._health,
            present=self.presence.present,
            most_data=most_data(config.send_buffer),
            telemetry=self.telemetry,
        )
        self._kept = state.Kept(self.log, self.access, self.presence, self.notifier)
        self._watch()

    def _is_local(self) -> bool:
        """Is the site on this machine, so that its clock is this one's?"""
        if self.config.is_shared:
            return is_loopback(urlsplit(self.config.backend).hostname or "localhost")
        return is_loopback(self.config.notifier_host)

    def _cluster(self, bodies: Bodies, name: str) -> Cluster:
        try:
            kind: type[Cluster] = with_redis("serverpush.server.cluster.Cluster")
        except ImproperlyConfigured as error:
            raise CannotStart(str(error)) from None
        return kind(
            self.config.backend,
            bodies=bodies,
            intake=self.intake,
            log=self.log,
            access=self.access,
            clock=self._clock,
            telemetry=self.telemetry,
            is_local=self._is_local(),
            presence=self.presence,
            name=name,
            on_open=self._opened.set,
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
        if (cluster := self.cluster) is not None:
            meaning = "Seconds since an entry of its own was read in the shared log"
            watch("unheard_seconds", meaning, lambda: cluster.unheard)

    def _tick(self, words: Words) -> None:
        while True:
            try:
                self._look_around(words)
                self._is_ticking = True
            except loop.FAILURES:
                # It shows in /health until it succeeds again.
                self._is_ticking = False
                logger.error("what is due each second failed", exc_info=True)
            loop.sleep(TICK_SECONDS)

    def _look_around(self, words: Words) -> None:
        """Each second: notice processes that ended with changes unreported, and who is due."""
        if self._is_heard() and words.take():
            self._feed.gap("a process ended before it could report its changes")
        self._emitter.do(self.dispatch.tick())
        self.access.tick(self._clock())
        self.messaging.tick(self._clock())
        self._channels.tick(self._clock())
        self._look_at_the_clock()
        self.telemetry.tick()
        self.pool.wake()

    def _share(self) -> None:
        if self.cluster is not None:
            self.cluster.share()

    def _is_heard(self) -> bool:
        """Can others be told now what is left to this server to tell?"""
        return self.cluster is None or self.cluster.is_open

    def _look_at_the_clock(self) -> None:
        ahead = self._clock.ahead
        if ahead > CLOCK_SECONDS:
            self.telemetry.clock_was_set_back(ahead)

    def _status(self) -> str:
        if not self.pool.ready:
            return "renderers down"
        if not self.intake.is_fed or not self._is_ticking:
            return "the log can't be fed"
        return "ok" if self.cluster is None else self.cluster.status

    def _health(self) -> dict[str, Any]:
        return {
            "status": self._status(),
            "connections": len(self.transport.clients),
            "position": str(self.log.head),
            "renderers": self.pool.ready,
        }


def _limits(topic: Topic) -> tuple[int, float]:
    """How many messages of a topic are kept, and for how many seconds."""
    kind, _, name = topic.partition(":")
    if kind != "channel":
        return config().history_size, config().history_seconds
    chosen = channel(name)
    return chosen.history, chosen.seconds


def _listen(host: str, port: int, setting: str) -> Any:
    try:
        return loop.listen(host, port)
    except OSError as error:
        raise CannotStart(
            f"can't listen on {host}:{port} ({error.strerror or error}): is another push server "
            f"running there? Choose another address, or set {setting}"
        ) from None
