"""The site of ``--allrequests``: a child process to which all other requests are passed on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from serverpush.exceptions import ChildFailed
from serverpush.server.child import Child
from serverpush.server.transport import loop
from serverpush.server.transport.proxy import Unanswered, forward

logger = logging.getLogger("serverpush.server")

FIRST_BACKOFF, MAX_BACKOFF = 0.1, 5.0


class Site:
    """A WSGI application that has the site answer; its process is started again when it ends."""

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}
        self._child: Child | None = None
        self._port = 0
        self._key = ""
        self._keeping: loop.Task | None = None
        self._is_stopping = False

    def start(self, **settings: Any) -> None:
        """Start it, with these settings; returns when it is ready.

        Raises ``ChildFailed`` with its reason.
        """
        self._settings = settings
        self._start()
        self._keeping = loop.spawn(self._keep)

    def stop(self) -> None:
        """End it; what it has to report is reported first."""
        self._is_stopping = True
        if self._keeping is not None:
            self._keeping.cancel()
        if self._child is not None:
            self._child.end()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # It listens on a port of this machine: only with the key it believes whom it is told of.
        own = {
            "X-Serverpush-Key": self._key,
            "X-Serverpush-Peer": environ["REMOTE_ADDR"],
            "X-Serverpush-Port": environ["SERVER_PORT"],
        }
        try:
            return forward(environ, start_response, self._port, own)
        except Unanswered as error:
            if not self._is_stopping:
                logger.error("the site did not answer: %s", error)
            start_response("502 Bad Gateway", [("Content-Type", "text/plain")])
            return [b"the site does not answer: see the log of runserverpush\n"]

    def _start(self) -> None:
        child = Child("serverpush.web.site", json.dumps(self._settings))
        try:
            hello = child.wait_ready()
        except BaseException:
            child.end(kill=True)
            raise
        self._child, self._port, self._key = child, hello["port"], hello["key"]

    def _keep(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            if self._child is not None:
                self._child.next_frame()
                logger.error("the site ended, and is started again")
                self._child.end(kill=True)
                self._child = None
            try:
                self._start()
                backoff = FIRST_BACKOFF
            except ChildFailed as error:
                logger.error("the site can't start: %s", error)
                loop.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF)
