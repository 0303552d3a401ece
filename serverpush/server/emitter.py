"""The emitter: carries out what the core wants done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from serverpush import tokens
from serverpush.exceptions import PageTooLarge
from serverpush.protocol import Position, dump
from serverpush.server.clock import Clock
from serverpush.server.core.actions import Action, End, Ready, Refresh, Report, Send
from serverpush.server.pace import SHORTEST, Pace
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import Client, Frame, Transport, loop

LOGOUT = Frame.event("serverpush:logout", "{}")
# Connections that are closed between two turns of others.
SLICE = 100


class Emitter:
    """From actions to events.

    Arguments:
        send_buffer: bytes that one event may have.
        forget: takes the id of a connection that is being closed, so that
            nothing is rendered for it any more.
        untell: takes the ids of those who are told to refresh.
        server: what clients are told of the server that they are with; "" for nothing.
    """

    def __init__(
        self,
        transport: Transport,
        telemetry: Telemetry,
        clock: Clock,
        *,
        send_buffer: int,
        forget: Callable[[str], None],
        untell: Callable[[Iterable[str]], None],
        server: str = "",
    ) -> None:
        self._transport = transport
        self._telemetry = telemetry
        self._clock = clock
        self._pace = Pace()
        self._send_buffer = send_buffer
        self._forget = forget
        self._untell = untell
        self._named = {"server": server} if server else {}

    def do(self, actions: Iterable[Action]) -> None:
        """Carry out actions of the core, in their order."""
        for action in actions:
            if isinstance(action, Send):
                self._send(action)
            elif isinstance(action, Ready):
                self.ready(self._clients(action.connections), action.position, live=True)
            elif isinstance(action, Refresh):
                self._refresh(action.connections, action.reason, action.place)
            elif isinstance(action, End):
                self.close(self._clients(action.connections), action.refresh)
            elif isinstance(action, Report):
                self._telemetry.failed(action.text)

    def ready(self, clients: list[Client], position: Position, *, live: bool) -> None:
        """Tell clients that they are accepted, and whether they are up to date."""
        told = {"position": str(position), "live": live, **self._named}
        frame = Frame.event("serverpush:ready", dump(told))
        self._transport.send(clients, frame)

    def close(self, clients: list[Client], refresh: str = "") -> None:
        """Close connections whose access has ended, or changed: then with a reason."""
        self._telemetry.ended(len(clients), refresh or "logout")
        frame = self._refresh_frame(refresh, len(clients)) if refresh else LOGOUT
        if refresh:
            self._telemetry.refreshed(refresh, len(clients))
        for client in clients:
            self._forget(client.id)
            self._transport.close_after(client, frame)

    def drop(self, client: Client) -> None:
        """Close a connection without a word."""
        self._transport.close(client)

    def let_go(self) -> None:
        """Close all connections, so that they come back, here or to another push server."""
        for number, client in enumerate(list(self._transport.clients.values()), 1):
            self._transport.close(client)
            if number % SLICE == 0:
                loop.sleep()

    def _refresh(
        self, connections: tuple[str, ...], reason: str, place: Mapping[str, str] | None = None
    ) -> None:
        clients = self._clients(connections)
        self._untell(connections)
        self._telemetry.refreshed(reason, len(clients))
        self._transport.send(clients, self._refresh_frame(reason, len(clients), place))

    def _refresh_frame(
        self, reason: str, count: int, place: Mapping[str, str] | None = None
    ) -> Frame:
        told: dict[str, Any] = {"reason": reason, **(place or {})}
        within = self._pace.within(count, time.monotonic())
        if within > SHORTEST:
            told["within"] = round(within, 1)
        return Frame.event("serverpush:refresh", dump(told))

    def _send(self, send: Send) -> None:
        meta = send.meta
        if send.page is not None:
            # The page's dependencies are new: this is what it reconnects with.
            try:
                meta = {**meta, "page": tokens.sign_page(send.page)}
            except PageTooLarge as error:
                # It would come back with its first ones, and miss what happens to the others.
                self._telemetry.failed(str(error))
                self._refresh(send.connections, "error")
                return
        frame = Frame.event(send.name, send.payload, json.dumps(meta, separators=(",", ":")))
        if len(frame.websocket) > self._send_buffer:
            # Whoever got it would be closed as a slow client, again at each replay.
            what = f"message {send.name!r}"
            if "model" in meta:
                what = f"update {send.name!r} of {meta['model']} {meta['pk']}"
            self._telemetry.failed(
                f"{what}: it has {len(frame.websocket)} bytes, "
                f"and SERVERPUSH_SEND_BUFFER is {self._send_buffer}"
            )
            place: dict[str, str] = {
                name: meta[name] for name in ("channel", "route") if name in meta
            }
            self._refresh(send.connections, "error", place)
            return
        since = None if send.at is None else self._clock() - send.at
        clients = self._clients(send.connections)
        self._telemetry.emitted(len(clients), since)
        self._transport.send(clients, frame)

    def _clients(self, ids: Iterable[str]) -> list[Client]:
        clients = self._transport.clients
        return [clients[id] for id in ids if id in clients]
