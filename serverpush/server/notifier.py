"""The notifier port: HTTP with JSON bodies in, changes and endings out (contract, section 9)."""

from __future__ import annotations

import hmac
import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from serverpush.conf import is_loopback
from serverpush.exceptions import BadMessage, UnknownModel, brief
from serverpush.messages import USERS, Message, channel_topic, user_topic
from serverpush.protocol import Change, Ending, Key, KeyKind, ModelInfo, Position
from serverpush.server.telemetry import CONTENT_TYPE, Telemetry
from serverpush.server.transport import loop

Body = dict[str, Any] | bytes

MAX_BODY = 1024 * 1024
REMEMBERED_BATCHES = 10_000
# Of these the next start has to know: the answers to others have long been received.
MAX_DUMPED = 1000
MAX_BATCH_KEY = 64
MAX_GAP = 500

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


def _uuid(pk: Key) -> str:
    """The one spelling by which pages name it."""
    return str(uuid.UUID(str(pk)))


_KEYS: dict[KeyKind, tuple[Callable[[Key], Key], str]] = {
    "integer": (int, "a number"),
    "uuid": (_uuid, "a UUID"),
    "text": (str, "a text"),
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
        models: what is known of each model, by label.
        users: the label of the user model, empty where there is none.
        accept: applies the reason of a gap ("": none), changes and messages, in this
            order, and returns the position of the last.
        end: ends access.
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
        models: dict[str, ModelInfo],
        users: str,
        accept: Callable[[str, list[Change], list[Message]], Position],
        end: Callable[[Ending], None],
        missing: Callable[[list[str]], list[str]],
        health: Callable[[], dict[str, Any]],
        present: Callable[[str], dict[str, Any]],
        most_data: int,
        telemetry: Telemetry,
    ) -> None:
        self._authorizations = [f"Bearer {key}".encode() for key in keys]
        self._models = models
        self._users = models[users].key if users in models else None
        self._accept = accept
        self._end = end
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
        return self._once(environ, self._apply_changes)

    def _publish(self, environ: dict[str, Any]) -> tuple[int, Body]:
        return self._once(environ, self._apply_message)

    def _disconnect(self, environ: dict[str, Any]) -> tuple[int, Body]:
        return self._once(environ, self._apply_ending)

    def _once(
        self, environ: dict[str, Any], apply: Callable[[dict[str, Any], str, str], dict[str, Any]]
    ) -> tuple[int, Body]:
        """Apply a body; a batch that comes again gets the answer that it had."""
        body = self._body(environ)
        if self._is_stopping:
            raise _Answer(503, "the push server is stopping: send it again")
        self._busy += 1
        try:
            return self._applied(body, apply)
        finally:
            self._busy -= 1

    def _applied(
        self, body: dict[str, Any], apply: Callable[[dict[str, Any], str, str], dict[str, Any]]
    ) -> tuple[int, Body]:
        batch, gap = body.pop("batch", ""), body.pop("gap", "")
        if not isinstance(batch, str) or not isinstance(gap, str):
            raise _Answer(400, "batch and gap are texts")
        if len(batch) > MAX_BATCH_KEY or len(gap) > MAX_GAP:
            raise _Answer(400, f"batch may have {MAX_BATCH_KEY} characters, gap {MAX_GAP}")
        if not batch:
            return 202, apply(body, gap, "")
        # One that is applied already, or just now: who sent it did not wait for the answer.
        while batch in self._applying:
            self._applying[batch].wait()
        if batch not in self._batches:
            self._applying[batch] = applied = loop.Event()
            try:
                self._remember(batch, apply(body, gap, batch))
            finally:
                del self._applying[batch]
                applied.set()
        return 202, self._batches[batch]

    def _remember(self, batch: str, answer: dict[str, Any]) -> None:
        self._batches[batch] = answer
        if len(self._batches) > REMEMBERED_BATCHES:
            self._batches.popitem(last=False)

    def _apply_changes(self, body: dict[str, Any], gap: str, batch: str) -> dict[str, Any]:
        if not {"changes"} <= set(body) <= {"changes", "messages"}:
            raise _Answer(
                400, "the body is an object with changes, and perhaps messages, batch and gap"
            )
        changes = self._changes(body["changes"])
        messages = self._messages(body.get("messages", []), batch)
        position = self._accept(gap, changes, messages)
        return {"accepted": len(changes) + len(messages), "position": str(position)}

    def _apply_message(self, body: dict[str, Any], gap: str, batch: str) -> dict[str, Any]:
        try:
            message = self._addressed(Message.from_json(body, self._most_data)).named(batch, 0)
        except BadMessage as error:
            raise _Answer(400, str(error)) from None
        users = [each.removeprefix(USERS) for each in message.topics if each.startswith(USERS)]
        # A mistyped key would be sent to nobody.
        if users and (missing := self._missing(users)):
            raise _Answer(400, f"there is no user {', '.join(map(brief, missing[:10]))}")
        return {"accepted": 1, "position": str(self._accept(gap, [], [message]))}

    def _apply_ending(self, body: dict[str, Any], gap: str, batch: str) -> dict[str, Any]:
        try:
            ending = self._spelled(Ending.from_json(body))
        except BadMessage as error:
            raise _Answer(400, str(error)) from None
        position = self._accept(gap, [], [])
        self._end(ending)
        ended = (ending.users, ending.sessions, ending.changed, ending.doubtful)
        accepted = sum(map(len, ended))
        return {"accepted": accepted, "position": str(position)}

    def _changes(self, value: Any) -> list[Change]:
        if not isinstance(value, list):
            raise _Answer(400, "changes is a list of {model, pk, action}")
        changes = []
        for place, each in enumerate(value):
            try:
                changes.append(self._known(Change.from_json(each)))
            except BadMessage as error:
                raise _Answer(400, f"changes[{place}]: {error}") from None
            except UnknownModel as error:
                raise _Answer(404, f"changes[{place}]: {error}") from None
        return changes

    def _messages(self, value: Any, batch: str) -> list[Message]:
        if not isinstance(value, list):
            raise _Answer(400, "messages is a list of {to, event, data}")
        messages = []
        for place, each in enumerate(value):
            try:
                messages.append(self._addressed(Message.from_json(each)).named(batch, place))
            except BadMessage as error:
                raise _Answer(400, f"messages[{place}]: {error}") from None
        return messages

    def _addressed(self, message: Message) -> Message:
        """The message with the keys of its users as the user model has them."""
        if not any(topic.startswith(USERS) for topic in message.topics):
            return message
        keys = self._user_keys([topic.removeprefix(USERS) for topic in message.topics])
        return replace(message, topics=tuple(map(user_topic, keys)))

    def _spelled(self, ending: Ending) -> Ending:
        """The ending with the keys of its users as the user model has them."""
        return replace(
            ending,
            users=self._user_keys(ending.users),
            changed=self._user_keys(ending.changed),
            doubtful=self._user_keys(ending.doubtful),
        )

    def _user_keys(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Each once, in the one spelling that it has; raises ``BadMessage`` for what is none."""
        if not keys:
            return ()
        if self._users is None:
            raise BadMessage("this project has no users")
        read, meaning = _KEYS[self._users]
        try:
            return tuple(dict.fromkeys(str(read(key)) for key in keys))
        except ValueError:
            raise BadMessage(
                f"the key of a user is {meaning}, not all of {brief(list(keys))}"
            ) from None

    def _known(self, change: Change) -> Change:
        info = self._models.get(change.model)
        if info is None:
            raise UnknownModel(change.model)
        read, meaning = _KEYS[info.key]
        try:
            return replace(change, pk=read(change.pk))
        except ValueError:
            raise BadMessage(f"pk of {change.model} is {meaning}, not {brief(change.pk)}") from None

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
