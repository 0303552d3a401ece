"""``python -m serverpush.web.site FD SETTINGS``: the site of ``runserverpush --allrequests``.

Django's own development server, on a free port of this machine; the push server passes on to
it what is not for itself.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import get_internal_wsgi_application, run
from django.utils.crypto import constant_time_compare


def main() -> None:
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit("this is started by runserverpush, with the number of an open socket")
    link = socket.socket(fileno=int(sys.argv[1]))
    link.set_inheritable(False)
    key = secrets.token_hex()

    def tell(**what: Any) -> None:
        link.sendall(json.dumps(what).encode() + b"\n")

    try:
        for name, value in json.loads(sys.argv[2]).items():
            setattr(settings, name, value)
        django.setup()
        application = guarded(site(), key)
    except Exception as error:  # noqa: BLE001 - whatever a project raises
        tell(error=f"{type(error).__name__}: {error}")
        sys.exit(1)
    # An end by Ctrl-C is an orderly one: what is to be reported is.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=end_with, args=(link,), daemon=True).start()
    with suppress(KeyboardInterrupt):
        run(
            "127.0.0.1",
            0,
            application,
            threading=True,
            on_bind=lambda port: tell(port=port, key=key),
        )


def site() -> Any:
    """The project's WSGI application, with its static files under ``DEBUG``."""
    application: Any = get_internal_wsgi_application()
    if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
        return StaticFilesHandler(application)
    return application


def guarded(application: Any, key: str) -> Any:
    """Answers nobody but the push server, and as if its clients had asked themselves."""

    def guarded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        given = environ.pop("HTTP_X_SERVERPUSH_KEY", "")
        peer = environ.pop("HTTP_X_SERVERPUSH_PEER", "")
        if not constant_time_compare(given, key):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this port is for runserverpush alone\n"]
        environ["REMOTE_ADDR"] = peer
        environ["SERVER_PORT"] = environ.pop("HTTP_X_SERVERPUSH_PORT", environ["SERVER_PORT"])
        answer: Iterable[bytes] = application(environ, start_response)
        return answer

    return guarded


def end_with(link: socket.socket) -> None:
    """End this process when the push server closes its end, or has ended."""
    while link.recv(1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
