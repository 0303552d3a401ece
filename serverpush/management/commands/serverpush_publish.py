"""``./manage.py serverpush_publish``."""

from __future__ import annotations

import argparse
import json
import sys
from http.client import HTTPException
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from serverpush.exceptions import BadMessage
from serverpush.messages import Message
from serverpush.records import Record
from serverpush.web.line import Port

TIMEOUT = 5.0


def _compact(body: Any) -> bytes:
    # No larger than it was, or it might not be taken.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


class Command(BaseCommand):
    help = (
        "Sends a message: JSON as POST /publish takes it, from the argument or from standard "
        'input. For example: \'{"to": "all", "data": {"msg": "Hi all!"}}\'.'
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "message", nargs="?", metavar="JSON", help="the message; standard input without it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        text = options["message"]
        try:
            if text is None:
                text = sys.stdin.read()
            body = json.loads(text)
            Message.from_json(body)
        except (ValueError, RecursionError) as error:
            raise CommandError(f"the message is not JSON: {error}") from None
        except BadMessage as error:
            raise CommandError(str(error)) from None
        port = Port(TIMEOUT)
        try:
            status, refusal = port.post(Record("/publish", _compact(body)))
        except TimeoutError:
            raise CommandError(
                f"the push server did not answer within {TIMEOUT:g} s: it may send it yet"
            ) from None
        except (OSError, HTTPException, ImproperlyConfigured) as failure:
            raise CommandError(f"the push server can't be reached: {failure}") from None
        finally:
            port.close()
        if status >= 300:
            raise CommandError(f"the push server refused it: {status} {refusal}")
        self.stdout.write(self.style.SUCCESS("sent"))
