"""``manage.py runserverpush``: run the push server."""

from __future__ import annotations

import argparse
import atexit
import os
import signal
import threading
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from serverpush import labels
from serverpush.conf import Config, config, state_file
from serverpush.exceptions import CannotStart
from serverpush.management.reloader import run_with_reloader
from serverpush.server.app import Addresses, PushServer
from serverpush.version import __version__

STOP_SECONDS = 3.5


class Command(BaseCommand):
    help = "Runs the push server: browsers connect to it, and changes are reported to it."
    # The checks of the project's own run in the site; here they would only delay.
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "addrport", nargs="?", metavar="ADDR:PORT", help="where browsers connect"
        )
        parser.add_argument(
            "--notifier-port", type=int, metavar="N", help="where changes are reported"
        )
        parser.add_argument("--renderers", type=int, metavar="N", help="renderer processes")
        parser.add_argument(
            "--allrequests",
            action="store_true",
            help="serve the site on the same port too, with its static files under DEBUG",
        )
        parser.add_argument(
            "--noreload", action="store_true", help="do not reload when the code changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            chosen = _chosen(config(), options)
        except (ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from None
        if settings.DEBUG and not options["noreload"]:
            run_with_reloader(self._serve_in_thread, chosen, options["allrequests"])
        else:
            self._serve(chosen, options["allrequests"])

    def _serve(self, chosen: Config, serves_site: bool) -> None:
        server = _server(chosen, serves_site)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        try:
            server.run(partial(self._ready, serves_site))
        except CannotStart as error:
            raise CommandError(str(error)) from None

    def _serve_in_thread(self, chosen: Config, serves_site: bool) -> None:
        """Serve beside the reloader, which has the main thread and ends it by leaving."""
        server = _server(chosen, serves_site)
        ended = threading.Event()

        def end() -> None:
            server.stop()
            ended.wait(STOP_SECONDS)

        atexit.register(end)
        try:
            server.run(partial(self._ready, serves_site))
        except CannotStart as error:
            self.stderr.write(self.style.ERROR(f"CommandError: {error}"))
            os._exit(1)
        finally:
            ended.set()

    def _ready(self, serves_site: bool, addresses: Addresses, renderers: int) -> None:
        served = "site and browsers" if serves_site else "browsers"
        self.stdout.write(
            f"django-serverpush {__version__} is ready: "
            f"{served} on http://{addresses.host}:{addresses.port}/, "
            f"changes on http://{addresses.notifier_host}:{addresses.notifier_port}/, "
            f"{renderers} renderer{'s' if renderers != 1 else ''}. Quit with CONTROL-C."
        )
        self.stdout.flush()


def _server(chosen: Config, serves_site: bool) -> PushServer:
    return PushServer(
        config=chosen,
        addresses=Addresses(chosen.host, chosen.port, chosen.notifier_host, chosen.notifier_port),
        models=labels.table(),
        state_file=state_file,
        serves_site=serves_site,
    )


def _chosen(defaults: Config, options: dict[str, Any]) -> Config:
    """The settings, with what the command line says instead."""
    changes: dict[str, Any] = {}
    if options["addrport"]:
        host, _, port = options["addrport"].rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{options['addrport']!r} is not a port or ADDR:PORT")
        changes["port"] = int(port)
        if host:
            changes["host"] = host.strip("[]")
    if options["notifier_port"] is not None:
        if not 0 <= options["notifier_port"] <= 65535:
            raise ValueError(f"--notifier-port {options['notifier_port']} is not a port")
        changes["notifier_port"] = options["notifier_port"]
    if options["renderers"] is not None:
        if options["renderers"] < 1:
            raise ValueError(f"--renderers {options['renderers']}: use 1 or more")
        changes["renderers"] = options["renderers"]
    return replace(defaults, **changes)
