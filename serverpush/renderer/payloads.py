"""From what a serializer gives to the JSON text that is sent."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from asgiref.sync import async_to_sync
from django.core.serializers.json import DjangoJSONEncoder
from django.http.response import HttpResponseBase


class NotJSON(ValueError):
    """A value or a response that can't be sent; ``str()`` is the end of a sentence."""


def to_json(value: Any) -> str:
    """Compact JSON, as ``DjangoJSONEncoder`` writes it; raises ``NotJSON``."""
    try:
        text = json.dumps(
            value,
            cls=DjangoJSONEncoder,
            allow_nan=False,
            separators=(",", ":"),
            ensure_ascii=False,
        )
        text.encode()
    except UnicodeEncodeError:
        raise NotJSON("gave text with half of a surrogate pair, which UTF-8 can't hold") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(f"gave what JSON can't hold ({error})") from error
    return text


def fields_to_json(values: dict[str, Any]) -> str:
    """As ``to_json``, with the name of the field that can't be sent."""
    try:
        return to_json(values)
    except NotJSON:
        for name, value in values.items():
            try:
                to_json(value)
            except NotJSON as error:
                raise NotJSON(f"{name!r} {error}") from error
        raise


def response_to_json(response: HttpResponseBase) -> str:
    """An HTML response's text, a JSON response's data; raises ``NotJSON``."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise NotJSON(f"gave a response encoded as {response.headers['Content-Encoding']!r}")
    content = response.headers.get("Content-Type", "text/html")
    kind = content.partition(";")[0].strip().lower()
    if not (kind.startswith("text/") or kind.endswith(("json", "xml"))):
        raise NotJSON(f"gave a response of type {kind!r}: use text, HTML or JSON")
    try:
        text = _content(response).decode(response.charset)
    except (UnicodeDecodeError, LookupError) as error:
        raise NotJSON(f"gave a response that is not what its charset says ({error})") from error
    return _json_again(text) if kind.endswith("json") else to_json(text)


def _json_again(text: str) -> str:
    try:
        return to_json(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise NotJSON(f"gave a JSON response that is none ({error})") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _content(response: Any) -> bytes:
    if not response.streaming:
        return bytes(response.content)
    if response.is_async:
        return async_to_sync(_joined)(response)
    return b"".join(response.streaming_content)


async def _joined(response: Any) -> bytes:
    return b"".join([part async for part in response.streaming_content])
