"""The library's client, made to hand over packets in the order in which they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import socketio

# What the library calls for each packet.
PACKETS = frozenset({"_handle_event_internal", "_handle_eio_message"})


def new_connection(
    options: dict[str, Any], take: Callable[..., None], broken: Callable[[Exception], None]
) -> socketio.Client:
    """A client that has yet to connect, and does so once.

    Arguments:
        options: of the WebSocket.
        take: called with each event's name and arguments, in their order.
        broken: called with what ``take`` raised; then the connection is closed.
    """
    made = socketio.Client(reconnection=False, handle_sigint=False, websocket_extra_options=options)
    start = made.eio.start_background_task

    def start_or_call(target: Any, *arguments: Any, **options: Any) -> Any:
        # The library would start a thread for each, and lose their order.
        if getattr(target, "__name__", "") not in PACKETS:
            return start(target, *arguments, **options)
        try:
            return target(*arguments, **options)
        except Exception as error:  # noqa: BLE001
            # Its thread would end by it, and leave a connection that nobody reads.
            broken(error)
            made.eio.ws.shutdown()

    made.start_background_task = start_or_call
    made.eio.start_background_task = start_or_call
    made.on("*", take)
    return made
