"""The push server: wires log, dispatch, transport, notifier and renderers."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serverpush import tokens
from serverpush.conf import Config, is_loopback, losses_file
from serverpush.exceptions import CannotStart, PageTooLarge, RendererFailed
from serverpush.protocol import Change, Gap, ModelInfo, Position, dump
from serverpush.server import origins, state
from serverpush.server.admission import Admission, Admissions
from serverpush.server.core.actions import Action, Refresh, Report, Send
from serverpush.server.core.dispatch import Dispatch
from serverpush.server.core.log import Log
from serverpush.server.notifier import Notifier
from serverpush.server.renderers import Pool
from serverpush.server.transport import Client, Frame, Limits, Transport, loop

logger = logging.getLogger("serverpush.server")

NOTIFIER_CONNECTIONS = 1000
LOSSES_SECONDS = 1.0
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


class PushServer:
    """The process behind ``runserverpush``.

    Arguments:
        config: the settings.
        addresses: where to listen.
        models: what is known of each model, by label.
        state_file: gives the state file's path for the port that is served.
    """

    def __init__(
        self,
        *,
        config: Config,
        addresses: Addresses,
        models: dict[str, ModelInfo],
        state_file: Callable[[int], Path],
    ) -> None:
        self.config = config
        self.addresses = addresses
        self._state_file = state_file
        self._models = models
        self._waker = loop.Waker()

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
        config, addresses = self.config, self.addresses
        sock = _listen(addresses.host, addresses.port, "SERVERPUSH_PORT")
        notifier_sock = _listen(
            addresses.notifier_host, addresses.notifier_port, "SERVERPUSH_NOTIFIER_PORT"
        )
        host, port = sock.getsockname()[:2]
        notifier_host, notifier_port = notifier_sock.getsockname()[:2]
        self._build()
        path = self._state_file(port)
        if state.load(self.log, path):
            logger.info("continuing the log of %s", path)
        try:
            self.pool.start()
        except RendererFailed as error:
            raise CannotStart(f"a renderer can't start: {error}") from None
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
        losses = loop.spawn(self._look_for_losses, losses_file(port))
        ready(Addresses(host, port, notifier_host, notifier_port), config.renderers)
        try:
            self._waker.wait()
        finally:
            losses.cancel()
            for server in servers:
                server.stop()
            state.save(self.log, path)
            self.transport.stop()
            self.pool.stop()

    def _build(self) -> None:
        config = self.config
        self.log = Log(
            epoch=secrets.token_hex(4),
            now=time.time(),
            size=config.history_size,
            seconds=config.history_seconds,
        )
        skew = 0.0 if is_loopback(config.notifier_host) else REMOTE_SKEW
        self.dispatch = Dispatch(self.log, self._models, skew=skew)
        self.pool = Pool(
            count=config.renderers,
            timeout=config.render_timeout,
            next_job=self.dispatch.next_job,
            on_result=lambda ticket, result: self._do(self.dispatch.answer(ticket, result)),
            on_failed=lambda ticket, reason: self._do(self.dispatch.failed(ticket, reason)),
        )
        self.transport = Transport(
            limits=Limits(send_buffer=config.send_buffer, max_connections=config.max_connections),
            origin_allowed=origins.is_allowed,
            on_connect=self._connect,
            on_joined=self._joined,
            on_event=lambda client, name, args: {"error": f"there is no event {name[:64]!r}"},
            on_disconnect=self._disconnected,
            logger=logger,
        )
        self.notifier = Notifier(
            key=tokens.notifier_key(),
            models=self._models,
            accept=self._accept,
            health=self._health,
        )
        self._admissions = Admissions(self.pool.resolve, lambda: self.log.head)

    # Connections

    def _connect(self, client: Client, auth: dict[str, Any] | None) -> None:
        client.data = self._admissions.admit(client, auth or {})

    def _joined(self, client: Client) -> None:
        admission: Admission = client.data
        # Only the core keeps the page from here on.
        client.data = None
        since = self._since(admission)
        live, actions = self.dispatch.connect(
            client.id,
            admission.page,
            admission.visitor,
            since,
            returns=isinstance(admission.since, Position),
        )
        ready = dump({"position": str(self.log.head), "live": live})
        self.transport.send([client], Frame.event("serverpush:ready", ready))
        self._do(actions)
        self.pool.wake()

    def _since(self, admission: Admission) -> Position:
        since = admission.since
        return self.dispatch.at(since) if isinstance(since, float) else since

    def _disconnected(self, client: Client, reason: str) -> None:
        self.dispatch.disconnect(client.id)

    # Changes

    def _accept(self, changes: list[Change], gap: str) -> Position:
        now = time.time()
        if gap:
            logger.warning("changes were lost before this batch: %s", gap)
            self._do(self.dispatch.gap(Gap(gap), now))
        for change in changes:
            self.dispatch.changed(change, now)
        self.pool.wake()
        return self.log.head

    def _look_for_losses(self, path: Path) -> None:
        """Notice processes that ended while they could not report their changes."""
        while True:
            if state.take(path):
                reason = "a process ended before it could report its changes"
                logger.warning("%s; pages are told to refresh", reason)
                self._do(self.dispatch.gap(Gap(reason), time.time()))
            loop.sleep(LOSSES_SECONDS)

    def _health(self) -> dict[str, Any]:
        return {
            "status": "ok" if self.pool.ready else "renderers down",
            "connections": len(self.transport.clients),
            "position": str(self.log.head),
            "renderers": self.pool.ready,
        }

    # What dispatch wants done

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action)
            elif isinstance(action, Refresh):
                logger.info("refresh for %d clients: %s", len(action.connections), action.reason)
                frame = Frame.event("serverpush:refresh", dump({"reason": action.reason}))
                self.transport.send(self._clients(action.connections), frame)
            elif isinstance(action, Report):
                logger.error("%s", action.text)

    def _send(self, send: Send) -> None:
        meta = send.meta
        if send.page is not None:
            # The page's dependencies are new: this is what it reconnects with.
            try:
                meta = {**meta, "page": tokens.sign_page(send.page)}
            except PageTooLarge as error:
                logger.error("%s; it will come back with its first ones", error)
        frame = Frame.event(send.name, send.payload, json.dumps(meta, separators=(",", ":")))
        if len(frame.websocket) > self.config.send_buffer:
            # Whoever got it would be closed as a slow client, again at each replay.
            logger.error(
                "update %r of %s %s: it has %d bytes, and SERVERPUSH_SEND_BUFFER is %d",
                send.name,
                meta["model"],
                meta["pk"],
                len(frame.websocket),
                self.config.send_buffer,
            )
            return
        self.transport.send(self._clients(send.connections), frame)

    def _clients(self, ids: Iterable[str]) -> list[Client]:
        clients = self.transport.clients
        return [clients[id] for id in ids if id in clients]


def _listen(host: str, port: int, setting: str) -> Any:
    try:
        return loop.listen(host, port)
    except OSError as error:
        raise CannotStart(
            f"can't listen on {host}:{port} ({error.strerror or error}): is another push server "
            f"running there? Choose another address, or set {setting}"
        ) from None
