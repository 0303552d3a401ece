"""The push server: listens, starts its parts, looks around each second, and ends in order."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from serverpush.conf import Config, config, losses_file
from serverpush.exceptions import CannotStart, ChildFailed
from serverpush.protocol import ModelInfo
from serverpush.server import state
from serverpush.server.parts import Parts
from serverpush.server.site import Site
from serverpush.server.transport import loop
from serverpush.words import Words

logger = logging.getLogger("serverpush.server")

NOTIFIER_CONNECTIONS = 1000
TICK_SECONDS = 1.0
STOP_SECONDS = 1.0
# For receivers of the channels' signals that are at work when the server ends.
SUBSCRIBE_SECONDS = 0.5
# What a clock may be set back by without a word.
CLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Addresses:
    """Where the server listens: hosts and ports, port 0 for any free one."""

    host: str
    port: int
    notifier_host: str
    notifier_port: int


class PushServer:
    """The process behind ``runserverpush``.

    Arguments:
        config: the settings.
        addresses: where to listen.
        models: what is known of each model, by label.
        state_file: gives the state file's path for the port where changes are reported.
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
        self._site = Site() if serves_site else None
        self._is_ticking = True

    def stop(self) -> None:
        """End ``run``, from any thread or signal handler."""
        self._waker.wake()

    def run(self, ready: Callable[[Addresses, int], None]) -> None:
        """Serve until ``stop``.

        ``ready`` is called once, with the addresses and the number of renderers,
        when connections and changes are taken. Raises ``CannotStart`` for a port
        in use, for renderers that can't start, and for a state file that can't be
        taken away.
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
        self._make(f"{host}:{port}")
        try:
            self.parts.pool.start()
        except ChildFailed as error:
            raise CannotStart(f"a renderer can't start: {error}") from None
        # Of several, any of a machine may hear what the site's processes leave there.
        fed_at = config().notifier_port if self.config.is_shared else notifier_port
        path = self._state_file(fed_at)
        try:
            if self._site is not None:
                self._start_site(self._site, port, notifier_host, notifier_port)
            # Not before: it can be taken only once.
            self._take_over(path)
        except CannotStart:
            if self._site is not None:
                self._site.stop()
            self.parts.pool.stop()
            raise
        servers = [
            loop.serve(
                sock,
                self.parts.transport.wsgi_app,
                max_connections=self.parts.transport.limits.max_http,
                log=logger,
            ),
            loop.serve(
                notifier_sock, self.parts.notifier, max_connections=NOTIFIER_CONNECTIONS, log=logger
            ),
        ]
        ticking = loop.spawn(self._tick, Words(losses_file(fed_at)))
        # What has been loaded stays: looking at it again and again would keep clients waiting.
        gc.collect()
        gc.freeze()
        listening = Addresses(host, port, notifier_host, notifier_port)
        if self.parts.cluster is None:
            # At once: it is the first word.
            ready(listening, self.config.renderers)
        else:
            loop.spawn(self._when_open, partial(ready, listening, self.config.renderers))
        try:
            self._waker.wait()
        finally:
            ticking.cancel()
            # While what receivers send still is taken.
            self.parts.channels.stop(SUBSCRIBE_SECONDS)
            if self._site is not None:
                # While it still can report what it has.
                self._site.stop()
            # A body that is being applied is applied to its end.
            self.parts.intake.stop()
            self.parts.notifier.stop(STOP_SECONDS)
            for server in servers:
                server.stop()
            if self.parts.cluster is not None:
                self.parts.cluster.stop()
            else:
                state.save(self.parts.kept, path)
            self.parts.transport.stop()
            self.parts.pool.stop()

    def _make(self, served: str) -> None:
        self.parts = Parts(
            self.config, models=self._models, served=served, health=self._health, site=self._site
        )

    def _when_open(self, say: Callable[[], None]) -> None:
        self.parts.opened.wait()
        say()

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
            raise CannotStart(f"the site can't start: {error}") from None

    def _take_over(self, path: Path) -> None:
        """Go on with the log that is shared, or else with the one that was left."""
        if self.parts.cluster is not None:
            if state.drop(path):
                logger.info("removed the state file %s: the log is in Redis", path)
            self.parts.cluster.start()
        elif state.load(self.parts.kept, path, self.parts.clock()):
            logger.info("continuing the log of %s", path)

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
            self.parts.feed.gap("a process ended before it could report its changes")
        self.parts.emitter.do(self.parts.dispatch.tick())
        self.parts.access.tick(self.parts.clock())
        self.parts.messaging.tick(self.parts.clock())
        self.parts.channels.tick(self.parts.clock())
        self._look_at_the_clock()
        self._look_at_the_cluster()
        self.parts.telemetry.tick()
        self.parts.pool.wake()

    def _is_heard(self) -> bool:
        """Can others be told now what is left to this server to tell?"""
        return self.parts.cluster is None or self.parts.cluster.is_open

    def _look_at_the_cluster(self) -> None:
        clients = len(self.parts.transport.clients)
        if clients and self.parts.cluster is not None and self.parts.cluster.is_cut_off:
            logger.error("%d clients are closed: another push server may hear the log", clients)
            self.parts.emitter.let_go()

    def _look_at_the_clock(self) -> None:
        ahead = self.parts.clock.ahead
        if ahead > CLOCK_SECONDS:
            self.parts.telemetry.clock_was_set_back(ahead)

    def _status(self) -> str:
        if not self.parts.pool.ready:
            return "renderers down"
        if not self.parts.intake.is_fed or not self._is_ticking:
            return "the log can't be fed"
        return "ok" if self.parts.cluster is None else self.parts.cluster.status

    def _health(self) -> dict[str, Any]:
        return {
            "status": self._status(),
            "connections": len(self.parts.transport.clients),
            "position": str(self.parts.log.head),
            "renderers": self.parts.pool.ready,
        }


def _listen(host: str, port: int, setting: str) -> Any:
    try:
        return loop.listen(host, port)
    except OSError as error:
        raise CannotStart(
            f"can't listen on {host}:{port} ({error.strerror or error}): is another push server "
            f"running there? Choose another address, or set {setting}"
        ) from None
