"""Who may speak to the transport from a browser: one rule for polling and WebSocket."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from serverpush.server.transport.http import WSGIApp
from serverpush.server.transport.notices import Notices


class Cors:
    """Asks ``origin_allowed`` before anything else is looked at.

    engineio's own check lets a missing Origin pass and believes ``X-Forwarded-Host``; it is off.
    """

    def __init__(
        self, origin_allowed: Callable[[dict[str, Any]], bool], app: WSGIApp, notices: Notices
    ) -> None:
        self._origin_allowed = origin_allowed
        self._app = app
        self._notices = notices

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application."""
        if not self._allowed(environ):
            start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Vary", "Origin")])
            return [b"This origin may not connect."]
        headers = self._headers(environ.get("HTTP_ORIGIN"))
        if environ["REQUEST_METHOD"] == "OPTIONS":
            start_response(
                "204 No Content",
                [
                    *headers,
                    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
                    ("Access-Control-Allow-Headers", "Content-Type"),
                    ("Access-Control-Max-Age", "600"),
                ],
            )
            return []

        def start(status: str, own: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, own + headers, exc_info)

        return self._app(environ, start)

    def _allowed(self, environ: dict[str, Any]) -> bool:
        try:
            return bool(self._origin_allowed(environ))
        except Exception:  # noqa: BLE001  # whatever it is, the answer is no
            self._notices.say("origin_allowed failed", level=logging.ERROR, exc=True)
            return False

    def _headers(self, origin: str | None) -> list[tuple[str, str]]:
        headers = [("Vary", "Origin")]
        if origin is not None:
            headers += [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Credentials", "true"),
            ]
        return headers
