"""Standard Socket.IO clients for tests."""

from __future__ import annotations

import json
import os
import queue
import re
import socket
import threading
from typing import Any

import requests
import socketio

from serverpush.remote.tls import shared_context

# For the server's answer; the client's own default is a second.
WAIT_SECONDS = 20


def page_record(html: str) -> dict[str, Any]:
    """The page record in a page's HTML."""
    found = re.search(r'<script id="serverpush-page" type="application/json">(.*?)</script>', html)
    assert found, f"no page record in {html!r}"
    return json.loads(found[1])


def bare_client(url: str) -> socketio.Client:
    """python-socketio's client for an address, which connects once."""
    options = {}
    if url.startswith("https:"):
        # It reads in one thread and writes in another, and would lose answers.
        context = shared_context(os.environ["WEBSOCKET_CLIENT_CA_BUNDLE"])
        options = {"sslopt": {"context": context}}
    return socketio.Client(reconnection=False, handle_sigint=False, websocket_extra_options=options)


class Client:
    """python-socketio's own client; events wait in a queue in the order they came."""

    def __init__(self, url: str, auth: dict[str, Any], **options: Any) -> None:
        self.events: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self.refused: Any = None
        self.ended = threading.Event()
        # Packets and handlers in one thread, or the order of events would be lost here.
        self._socketio = bare_client(url)
        self._start = self._socketio.eio.start_background_task
        self._socketio.start_background_task = self._inline
        self._socketio.eio.start_background_task = self._inline
        self._socketio.on("*", lambda name, *arguments: self.events.put((name, arguments)))
        self._socketio.on("connect_error", self._note)
        self._socketio.on("disconnect", lambda *_: self.ended.set())
        headers = options.pop("headers", {})
        self._socketio.connect(
            url,
            auth=auth,
            headers=headers,
            transports=options.pop("transports", ["websocket"]),
            wait_timeout=WAIT_SECONDS,
            **options,
        )

    def _inline(self, target: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(target, "__name__", "") in ("_handle_event_internal", "_handle_eio_message"):
            return target(*arguments, **options)
        return self._start(target, *arguments, **options)

    def _note(self, data: Any) -> None:
        self.refused = data

    def next(self, timeout: float = 10) -> tuple[str, tuple[Any, ...]]:
        try:
            return self.events.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no event within {timeout} s") from None

    def event(self, name: str, timeout: float = 10) -> tuple[Any, ...]:
        """The next event, which must have this name; its arguments."""
        found, arguments = self.next(timeout)
        assert found == name, f"expected {name}, got {found} {arguments}"
        return arguments

    def ask(self, name: str, *arguments: Any) -> Any:
        """Emit an event; returns the acknowledgement's value."""
        return self._socketio.call(name, arguments, timeout=WAIT_SECONDS)

    def ask_all(self, name: str, arguments: list[Any]) -> list[Any]:
        """Emit events without waiting between them; returns the acknowledgements' values."""
        answers = [self.later(name, each) for each in arguments]
        return [each.get(timeout=WAIT_SECONDS) for each in answers]

    def later(self, name: str, *arguments: Any) -> queue.SimpleQueue[Any]:
        """Emit an event; the acknowledgement's value will be in the queue."""
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._socketio.emit(name, arguments, callback=answer.put)
        return answer

    def lose(self) -> None:
        """Be cut off, without a goodbye."""
        self._socketio.eio.ws.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socketio.disconnect()
        # The library leaves it open where the server has closed it.
        if self._socketio.eio.ws is not None:
            self._socketio.eio.ws.shutdown()


def refusal(url: str, auth: Any, **options: Any) -> dict[str, Any]:
    """The data of the connect error that a connection gets."""
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = bare_client(url)
    client.on("connect_error", errors.put)
    try:
        client.connect(
            url, auth=auth, transports=["websocket"], wait_timeout=WAIT_SECONDS, **options
        )
    except socketio.exceptions.ConnectionError:
        return errors.get(timeout=5)["data"]
    client.disconnect()
    raise AssertionError("the connection was not refused")


def browse(url: str, session: requests.Session | None = None) -> tuple[str, dict[str, Any]]:
    """A page's HTML and its record."""
    response = (session or requests).get(url, timeout=20)
    response.raise_for_status()
    return response.text, page_record(response.text)
