"""Records: entries of the log that several push servers share, signed by who wrote them.

A record is a call of the notifier port (contract, section 9), or what push servers say
to each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serverpush import tokens
from serverpush.exceptions import BadMessage, BadToken
from serverpush.messages import Message
from serverpush.protocol import Change, Ending

NOTIFY = "/notify"
DISCONNECT = "/disconnect"
BEAT = "beat"
PRESENT = "present"
LOST = "lost"

_COMPACT: dict[str, Any] = {"separators": (",", ":")}


@dataclass(frozen=True, slots=True)
class Record:
    """What is called, as a path or a word, and with which JSON object, as bytes."""

    call: str
    body: bytes

    def fields(self) -> dict[str, bytes]:
        """The entry, as Redis takes it."""
        call = self.call.encode()
        return {"call": call, "body": self.body, "signature": tokens.sign_record(call, self.body)}

    @classmethod
    def read(cls, fields: Mapping[bytes, bytes]) -> Record:
        """The record that an entry holds; raises ``BadToken`` where nobody here has written it."""
        call, body = fields.get(b"call", b""), fields.get(b"body", b"")
        if not tokens.is_signed_record(call, body, fields.get(b"signature", b"")):
            raise BadToken()
        return cls(call.decode(), body)

    def seal(self) -> bytes:
        """The record as one value."""
        return b" ".join(self.fields().values())

    @classmethod
    def unseal(cls, value: bytes) -> Record:
        """The record in a sealed value; raises ``BadToken`` as ``read`` does."""
        call, _, rest = value.partition(b" ")
        body, _, signature = rest.rpartition(b" ")
        return cls.read({b"call": call, b"body": body, b"signature": signature})

    def value(self) -> dict[str, Any]:
        """The JSON object; raises ``BadMessage`` where the body is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise BadMessage("the body is not JSON") from None
        if not isinstance(value, dict):
            raise BadMessage("the body is a JSON object")
        return value


def notice(
    batch: str, changes: Iterable[Change] = (), messages: Iterable[Message] = (), gap: str = ""
) -> Record:
    """Changes and messages, after a gap if it has a reason, under a key to know them again by."""
    value: dict[str, Any] = {"changes": [each.to_json() for each in changes], "batch": batch}
    if gap:
        value["gap"] = gap
    text = json.dumps(value, **_COMPACT)
    # Their data is JSON text already, and stays as it is.
    told = ",".join(each.to_text() for each in messages)
    if told:
        text = f'{text[:-1]},"messages":[{told}]}}'
    return Record(NOTIFY, text.encode())


def ending(batch: str, ended: Ending, gap: str = "") -> Record:
    """Access that has ended."""
    value: dict[str, Any] = {**ended.to_json(), "batch": batch}
    if gap:
        value["gap"] = gap
    return Record(DISCONNECT, json.dumps(value, **_COMPACT).encode())


def beat(server: str, at: float) -> Record:
    """A push server was there at this time by a clock of its own, and hears itself say so."""
    return _said(BEAT, server, at=at)


def present(server: str, joined: list[Any], left: list[Any]) -> Record:
    """Who came to which channel by a push server, and who left."""
    return _said(PRESENT, server, joined=joined, left=left)


def lost(server: str, by: str) -> Record:
    """A push server has not been heard for too long, says another."""
    return _said(LOST, server, by=by)


def _said(word: str, server: str, **more: Any) -> Record:
    return Record(word, json.dumps({"server": server, **more}, **_COMPACT).encode())
