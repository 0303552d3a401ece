"""``./manage.py serverpush_key``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from serverpush.tokens import notifier_key


class Command(BaseCommand):
    help = "Prints the key for the notifier port: Authorization: Bearer KEY."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(notifier_key())
