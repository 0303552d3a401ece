"""Who tells a push server of changes and messages, as anybody with its key may."""

from __future__ import annotations

import http.client
import json
from typing import Any

# Seconds for an answer.
WAIT = 20


class Reporter:
    """Reports changes on a kept-alive connection to the notifier."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        self._headers = {"Authorization": f"Bearer {key}"}

    def change(self, *pks: int) -> None:
        """Authors changed."""
        self.post({"changes": [{"model": "project.author", "pk": pk} for pk in pks]})

    def post(self, body: dict[str, Any]) -> None:
        self._connection.request("POST", "/notify", json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        assert (answer.status, answer.read()[:12]) == (202, b'{"accepted":')

    def close(self) -> None:
        self._connection.close()
