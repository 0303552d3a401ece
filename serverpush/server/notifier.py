"""The notifier port: HTTP with JSON bodies in, changes and endings out (contract, section 9)."""

from __future__ import annotations

import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from serverpush.conf import is_loopback
from serverpush.exceptions import BadMessage, LogUnavailable, UnknownModel, brief
from serverpush.messages import USERS, Message, channel_topic
from serverpush.protocol import Position
from serverpush.server.bodies import Bodies, Reported
from serverpush.server.telemetry import CONTENT_TYPE, Telemetry
from serverpush.server.transport import loop

Body = dict[str, Any] | bytes

MAX_BODY = 1024 * 1024
REMEMBERED_BATCHES = 10_000
# Of these the next start has to know: the answers to others have long been received.
MAX_DUMPED = 1000

_STATUS = {
    200: "200 OK",
    202: "202 Accepted",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    413: "413 Content Too Large",
    503: "503 Service Unavailable",
}


class _Answer(Exception):
    """Ends a request with a status and what the body's ``error`` says."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class Notifier:
    """The WSGI application of the notifier port.

    Arguments:
        keys: the bearer keys that are accepted, the first as ``serverpush_key`` prints it.
        bodies: reads what is reported.
        take: applies it, and returns where the log stands then; raises ``LogUnavailable``.
        missing: those of users who do not exist; may wait.
        present: who is subscribed to a channel.
        most_data: bytes of data that a body of ``/publish`` may have.
        health: the fields of ``GET /health``; ``status`` other than ``ok`` is a 503.
        telemetry: gives the metrics, and hears of what is rejected.
    """

    def __init__(
        self,
        *,
        keys: Iterable[str],
        bodies: Bodies,
        take: Callable[[Reported], Position],
        missing: Callable[[list[str]], list[str]],
        health: Callable[[], dict[str, Any]],
        present: Callable[[str], dict[str, Any]],
        most_data: int,
        telemetry: Telemetry,
    ) -> None:
        self._authorizations = [f"Bearer {key}".encode() for key in keys]
        self._bodies = bodies
        self._take = take
        self._missing = missing
        self._health = health
        self._present = present
        self._most_data = most_data
        self._telemetry = telemetry
        self._batches: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._applying: dict[str, loop.Event] = {}
        self._is_stopping = False
        self._busy = 0
        self._routes = {
            "/notify": ("POST", self._notify),
            "/publish": ("POST", self._publish),
            "/disconnect": ("POST", self._disconnect),
            "/health": ("GET", self._get_health),
            "/metrics": ("GET", self._get_metrics),
            "/presence": ("GET", self._get_presence),
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            status, value = self._serve(environ)
        except _Answer as answer:
            status, value = answer.status, {"error": answer.error}
            path, address = environ["PATH_INFO"][:100], environ.get("REMOTE_ADDR", "")
            self._telemetry.rejected(path, address, status, answer.error)
        kind = CONTENT_TYPE if isinstance(value, bytes) else "application/json"
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        start_response(
            _STATUS[status], [("Content-Type", kind), ("Content-Length", str(len(body)))]
        )
        return [body]

    def stop(self, seconds: float) -> None:
        """Take no more bodies, and let those that are being applied be, for so long at most."""
        self._is_stopping = True
        waited = 0.0
        while self._busy and waited < seconds:
            loop.sleep(0.01)
            waited += 0.01

    def dump(self) -> list[list[Any]]:
        """The batches that were applied last, and their answers, for the next start."""
        return [[batch, answer] for batch, answer in list(self._batches.items())[-MAX_DUMPED:]]

    def load(self, value: Any) -> None:
        """Know batches again; raises ``BadMessage`` for what is no dump."""
        try:
            batches = {str(batch): dict(answer) for batch, answer in value}
        except (TypeError, ValueError) as error:
            raise BadMessage(f"it can't be read ({type(error).__name__})") from error
        self._batches.update(batches)

    def _serve(self, environ: dict[str, Any]) -> tuple[int, Body]:
        route = self._routes.get(environ["PATH_INFO"])
        if route is None:
            raise _Answer(404, f"there is no {environ['PATH_INFO'][:100]!r} here")
        method, handle = route
        if environ["REQUEST_METHOD"] != method:
            raise _Answer(405, f"use {method}")
        return handle(environ)

    def _get_health(self, environ: dict[str, Any]) -> tuple[int, Body]:
        health = self._health()
        return (200 if health["status"] == "ok" else 503), health

    def _get_metrics(self, environ: dict[str, Any]) -> tuple[int, Body]:
        if not is_loopback(environ.get("REMOTE_ADDR", "")):
            self._authorize(environ)
        return 200, self._telemetry.metrics()

    def _get_presence(self, environ: dict[str, Any]) -> tuple[int, Body]:
        self._authorize(environ)
        asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        try:
            topic = channel_topic(asked.get("channel", [""])[0])
        except BadMessage as error:
            raise _Answer(400, str(error)) from None
        return 200, self._present(topic.partition(":")[2])

    def _notify(self, environ: dict[str, Any]) -> tuple[int, Body]:
        return self._once(environ, self._bodies.changes)

    def _publish(self, environ: dict[str, Any]) -> tuple[int, Body]:
        return self._once(environ, lambda body: self._bodies.message(body, self._most_data))

    def _disconnect(self, environ: dict[str, Any]) -> tuple[int, Body]:
        return self._once(environ, self._bodies.ending)

    def _once(
        self, environ: dict[str, Any], read: Callable[[dict[str, Any]], Reported]
    ) -> tuple[int, Body]:
        """Apply a body; a batch that comes again gets the answer that it had."""
        body = self._body(environ)
        if self._is_stopping:
            raise _Answer(503, "the push server is stopping: send it again")
        try:
            reported = read(body)
        except BadMessage as error:
            raise _Answer(400, str(error)) from None
        except UnknownModel as error:
            raise _Answer(404, str(error)) from None
        self._busy += 1
        try:
            return 202, self._applied(reported, environ["PATH_INFO"] == "/publish")
        finally:
            self._busy -= 1

    def _applied(self, reported: Reported, names_users: bool) -> dict[str, Any]:
        batch = reported.batch
        if not batch:
            return self._answer(reported, names_users)
        # One that is applied already, or just now: who sent it did not wait for the answer.
        while batch in self._applying:
            self._applying[batch].wait()
        if batch in self._batches:
            return self._batches[batch]
        self._applying[batch] = applied = loop.Event()
        try:
            answer = self._answer(reported, names_users)
            self._remember(batch, answer)
        finally:
            del self._applying[batch]
            applied.set()
        return answer

    def _answer(self, reported: Reported, names_users: bool) -> dict[str, Any]:
        if names_users:
            self._look_up(reported.messages)
        try:
            position = self._take(reported)
        except LogUnavailable as error:
            raise _Answer(503, f"{error}: send it again") from None
        return {"accepted": len(reported), "position": str(position)}

    def _remember(self, batch: str, answer: dict[str, Any]) -> None:
        self._batches[batch] = answer
        if len(self._batches) > REMEMBERED_BATCHES:
            self._batches.popitem(last=False)

    def _look_up(self, messages: Iterable[Message]) -> None:
        """A mistyped key would be sent to nobody."""
        topics = (topic for each in messages for topic in each.topics)
        users = [each.removeprefix(USERS) for each in topics if each.startswith(USERS)]
        if users and (missing := self._missing(users)):
            raise _Answer(400, f"there is no user {', '.join(map(brief, missing[:10]))}")

    def _authorize(self, environ: dict[str, Any]) -> None:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
        if not any(hmac.compare_digest(given, each) for each in self._authorizations):
            raise _Answer(401, "send Authorization: Bearer KEY; manage.py serverpush_key prints it")

    def _body(self, environ: dict[str, Any]) -> dict[str, Any]:
        """The JSON object of an authorized request."""
        self._authorize(environ)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MAX_BODY:
            raise _Answer(413, f"a body may have {MAX_BODY} bytes, not {length}")
        try:
            body = json.loads(environ["wsgi.input"].read(length))
        except (ValueError, RecursionError):
            raise _Answer(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise _Answer(400, "the body is a JSON object")
        return body
