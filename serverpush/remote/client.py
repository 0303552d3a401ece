"""The client: it follows a page, a user or channels, and comes back by itself."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import socketio

from serverpush.exceptions import ConnectionRefused, PushServerAway
from serverpush.remote.answers import Answers
from serverpush.remote.connection import new_connection
from serverpush.remote.handshake import Handshake, reason_of, status_of
from serverpush.remote.mailbox import Mailbox
from serverpush.remote.replay import Replay, Subscription

logger = logging.getLogger("serverpush")

# Seconds for an answer, and between two attempts to connect, before they are randomised.
ANSWER_SECONDS = 20.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
# Refusals that another try may end.
FOR_NOW = frozenset({"too_many_connections", "server_error"})
FORBIDDEN = "HTTP 403: the Origin is not one of the site's, or a proxy does not let you in"


@dataclass(frozen=True, slots=True)
class Event:
    """What came: an update or a message by its name, or a word of the server's own.

    ``serverpush:refresh`` says that something was missed that can't be had again;
    ``reason`` is in ``data``.
    """

    name: str
    data: Any
    meta: dict[str, Any]


class Client:
    """Follows a page, a user or channels; iterate over it for what comes.

    Arguments:
        address: of the push server, such as ``"http://127.0.0.1:8013"``, or of a proxy
            before it, ``"https://www.example.org"``.
        url, query: a page's path and query string.
        page: instead of ``url``, the token of a page record.
        user: a user's token.
        since: replay what came after this position or ``generated_timestamp``.
        headers: of the handshake: a ``Cookie``, and the ``Origin`` that goes with it, which
            is the address if it is not given.

    Raises ``ValueError`` for what is no address, and for a file of authorities
    (``WEBSOCKET_CLIENT_CA_BUNDLE``) that can't be read.

    A connection that is lost is made again, without an end, and what was missed comes
    then, each once and in order. So it is where nobody takes what comes: when 10,000 events
    wait, no more are read, and the server closes the connection in a while. A thread does
    that, from the first iteration or ``subscribe`` until ``close`` or the end of a ``with``
    block.
    """

    def __init__(
        self,
        address: str,
        *,
        url: str | None = None,
        query: str | None = None,
        page: str | None = None,
        user: str | None = None,
        since: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        given = {"url": url, "query": query, "page": page, "user": user}
        self._handshake = Handshake(address, headers or {})
        self._auth = {name: value for name, value in given.items() if value is not None}
        self._auth["tab"] = f"{random.getrandbits(128):x}"
        self._replay = Replay(since, is_recorded=page is not None)
        self._subscriptions: list[Subscription] = []
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._closed = threading.Event()
        self._mailbox = Mailbox(self._closed)
        self._refused: ConnectionRefused | None = None
        # Why it could not connect, since it last did.
        self._logged: set[str] = set()
        self._socketio: socketio.Client | None = None
        self._answers = Answers()
        self._thread: threading.Thread | None = None
        # Why it has ended by itself.
        self._error: Exception | None = None
        # What the library's own thread came upon.
        self._broken: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """What comes, as it comes; ends with ``close``, and after ``serverpush:logout``.

        Raises ``ConnectionRefused`` where the push server does not let it in, and whatever
        else it can't go on after.
        """
        self._start()
        while (event := self._mailbox.take()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
            if event.name == "serverpush:logout":
                return
        # For other iterations, and those that come.
        self._mailbox.put(None)
        if self._error is not None:
            raise self._error

    def subscribe(self, token: str, since: Any = None) -> dict[str, Any]:
        """Follow a channel or a route; returns the server's answer.

        Arguments:
            token: one of ``{% channel_token %}``, or a channel's id where the site lets
                clients subscribe without one.
            since: replay what came after it; None: from now on.

        Raises ``ConnectionRefused`` where it is refused, and ``PushServerAway`` where
        there is no connection within 20 seconds.
        """
        subscription = Subscription(token, since)
        self._start()
        return self._ask(subscription, is_new=True)

    def unsubscribe(self, token: str) -> None:
        """Follow a channel or a route no longer, unless it is by another token of it, too."""
        places = {each.place for each in self._subscriptions if each.token == token}
        self._subscriptions = [each for each in self._subscriptions if each.token != token]
        if places & {each.place for each in self._subscriptions}:
            return
        if self._ready.is_set() and self._socketio is not None:
            # Of a connection that is lost nothing has to be ended.
            with suppress(socketio.exceptions.SocketIOError):
                self._socketio.call("unsubscribe", {"channel": token}, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """Disconnect, and end all iterations."""
        self._closed.set()
        self._mailbox.put(None)
        # Whoever waits for a connection need not any longer.
        self._ready.set()
        self._answers.end()
        with self._lock:
            if self._socketio is not None:
                self._disconnect(self._socketio)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(ANSWER_SECONDS)

    # The thread

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="serverpush-client", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        try:
            self._stay()
        except Exception as error:  # noqa: BLE001
            # Whatever it is: who iterates or subscribes waits for this thread.
            self._error = error
            # Nothing is subscribed to again.
            self._socketio = None
            self._mailbox.put(None)
            self._ready.set()

    def _stay(self) -> None:
        wait = FIRST_WAIT
        while not self._closed.is_set():
            if self._live():
                wait = FIRST_WAIT
            if self._broken is not None:
                raise self._broken
            self._closed.wait(wait * random.uniform(0.5, 1.5))
            wait = min(2 * wait, LONGEST_WAIT)

    def _live(self) -> bool:
        """Connect, and return when the connection is lost; was there one?"""
        for each in self._subscriptions:
            each.begin(self._replay.safe)
        since = self._replay.connect()
        connection = self._connection()
        with self._lock:
            self._socketio = connection
        try:
            if not self._open(connection, since):
                return False
            for each in list(self._subscriptions):
                self._resubscribe(connection, each)
            connection.wait()
            return True
        except PushServerAway:
            return False
        finally:
            self._ready.clear()
            self._disconnect(connection)

    def _open(self, connection: socketio.Client, since: Any) -> bool:
        """Connect; is it ready? Raises ``ConnectionRefused`` where another try is of no use."""
        self._refused = None
        try:
            connection.connect(
                self._handshake.address,
                auth=self._auth if since is None else {**self._auth, "since": since},
                headers=dict(self._handshake.headers),
                transports=["websocket"],
                wait_timeout=ANSWER_SECONDS,
            )
        except socketio.exceptions.SocketIOError as error:
            self._failed(error)
            return False
        if self._closed.is_set():
            return False
        if not self._ready.wait(ANSWER_SECONDS):
            self._log(f"it does not say that it is ready within {ANSWER_SECONDS:.0f} s")
            return False
        self._logged.clear()
        return True

    def _failed(self, error: Exception) -> None:
        """Note that there is no connection; raises ``ConnectionRefused`` where there won't be."""
        refused = self._refused
        if refused is None and status_of(error) == HTTPStatus.FORBIDDEN:
            refused = ConnectionRefused("origin_refused", FORBIDDEN)
        if refused is not None and refused.code not in FOR_NOW:
            raise refused from None
        self._log(str(refused or reason_of(error)))

    def _log(self, reason: str) -> None:
        """Once for each reason until there is a connection: it may be away for days."""
        if reason not in self._logged and not self._closed.is_set():
            self._logged.add(reason)
            logger.warning("can't connect to %s, trying again: %s", self._handshake.address, reason)

    def _resubscribe(
        self, connection: socketio.Client, subscription: Subscription, wait: float = FIRST_WAIT
    ) -> None:
        if connection is not self._socketio or subscription not in self._subscriptions:
            return
        try:
            answer = self._ask(subscription)
        except ConnectionRefused as error:
            if error.code in FOR_NOW:
                # The others go on meanwhile.
                self._later(connection, subscription, wait)
            elif subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
                self._mailbox.put(error)
            return
        if "present" in answer:
            # Whoever came or went meanwhile is not told again.
            self._mailbox.hand(Event("presence", answer["present"], {"channel": answer["channel"]}))

    def _later(self, connection: socketio.Client, subscription: Subscription, wait: float) -> None:
        def again() -> None:
            # A connection that was lost meanwhile is made anew with all of them.
            with suppress(PushServerAway):
                self._resubscribe(connection, subscription, min(2 * wait, LONGEST_WAIT))

        timer = threading.Timer(wait * random.uniform(0.5, 1.5), again)
        timer.daemon = True
        timer.start()

    def _ask(self, subscription: Subscription, *, is_new: bool = False) -> dict[str, Any]:
        def take(answer: dict[str, Any]) -> None:
            # What follows the answer may be a refresh, which is of this one too.
            if "error" not in answer:
                subscription.taken(answer)
                if is_new:
                    self._subscriptions.append(subscription)

        asked = {"channel": subscription.token}
        if subscription.since is not None:
            asked["since"] = subscription.since
        with self._mailbox.asking():
            is_ready = not self._closed.is_set() and self._ready.wait(ANSWER_SECONDS)
            if self._closed.is_set():
                raise PushServerAway("this client is closed")
            if self._error is not None:
                raise self._error
            connection = self._socketio
            if not is_ready or connection is None:
                raise PushServerAway("there is no connection")
            answer: dict[str, Any]
            try:
                answer = self._answers.ask(
                    lambda done: connection.emit("subscribe", asked, callback=done),
                    take,
                    ANSWER_SECONDS,
                )
            except socketio.exceptions.SocketIOError as error:
                raise PushServerAway(str(error) or type(error).__name__) from error
        if "error" in answer:
            raise ConnectionRefused(answer.get("code", ""), answer["error"])
        return answer

    def _connection(self) -> socketio.Client:
        """A new one, which has yet to connect."""
        made = new_connection(dict(self._handshake.options), self._take, self._note_broken)
        made.on("connect_error", self._note_refusal)
        self._answers = answers = Answers()
        made.on("disconnect", lambda *reason: answers.end())
        return made

    def _disconnect(self, connection: socketio.Client) -> None:
        connection.disconnect()
        # The library leaves it open where the server has closed it.
        if connection.eio.ws is not None:
            connection.eio.ws.shutdown()

    # In the order in which they come

    def _note_broken(self, error: Exception) -> None:
        self._broken = error

    def _note_refusal(self, data: Any) -> None:
        found = data.get("data") if isinstance(data, dict) else None
        if isinstance(found, dict):
            self._refused = ConnectionRefused(found.get("code", ""), found.get("message", ""))

    def _take(self, name: str, data: Any = None, meta: Any = None) -> None:
        meta = meta if isinstance(meta, dict) else {}
        if name == "serverpush:ready":
            self._replay.ready(data["position"], live=data["live"])
            self._ready.set()
            return
        if "id" in meta and not self._replay.is_new(meta["id"]):
            return
        if name == "serverpush:refresh":
            self._go_on(data)
        if "page" in meta and "page" in self._auth:
            # The page's dependencies are new: this is what it comes back with. By its URL
            # it gets them anyway, and a token would become too old.
            kept = {name: told for name, told in self._auth.items() if name in ("user", "tab")}
            self._auth = {"page": meta["page"], **kept}
        self._mailbox.hand(Event(name, data, meta))
        self._replay.advance(meta.get("safe", ""))

    def _go_on(self, told: dict[str, Any]) -> None:
        """What was missed is gone, and has been told."""
        if "channel" not in told and "route" not in told:
            self._replay.go_on()
        for each in self._subscriptions:
            each.go_on()
