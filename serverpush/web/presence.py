"""Presence: asking the push server who is subscribed to a channel."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

from serverpush.conf import config
from serverpush.exceptions import BadMessage, InvalidMessage, PushServerAway
from serverpush.messages import channel_topic
from serverpush.tokens import notifier_key

TIMEOUT = 2.0


def presence(channel_id: str) -> dict[str, Any]:
    """Who is subscribed to a channel just now.

    Returns ``{"users": [{"id": "7", "name": "ada"}], "visitors": 2, "total": 3}``: users
    by name, each once; how many pages of nobody; and both together, should there be
    more than the 200 users that are named. Where neither ``SERVERPUSH_CHANNELS`` asks
    for the channel's presence nor a receiver listens to its signals, nobody counts.

    Asks the push server, and waits two seconds at most. Raises ``InvalidMessage`` for
    an id that no channel can have, and ``PushServerAway``.
    """
    try:
        channel_topic(channel_id)
    except BadMessage as error:
        raise InvalidMessage(str(error)) from None
    connection = HTTPConnection(config().notifier_host, config().notifier_port, timeout=TIMEOUT)
    path = f"/presence?{urlencode({'channel': channel_id})}"
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {notifier_key()}"})
        response = connection.getresponse()
        found: dict[str, Any] = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise PushServerAway(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if response.status != 200:
        raise PushServerAway(f"it answered {response.status} {found.get('error', '')}")
    return found
