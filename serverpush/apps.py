"""The app: connects the models' signals and registers the system checks."""

from __future__ import annotations

from contextlib import suppress

from django.apps import AppConfig
from django.core.checks import register
from django.core.exceptions import ImproperlyConfigured

from serverpush import checks
from serverpush.conf import config, with_redis
from serverpush.web import access, changes, routes


class ServerPushConfig(AppConfig):
    name = "serverpush"
    verbose_name = "Server push"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        changes.connect()
        access.connect()
        routes.connect()
        register(checks.check_values, "serverpush")
        register(checks.check_installation, "serverpush")
        _import_redis()


def _import_redis() -> None:
    """Before there are threads: a process that is forked while one imports never has it whole."""
    # Of what is wrong with the settings the checks tell.
    with suppress(ImproperlyConfigured):
        if config().is_shared:
            with_redis("serverpush.web.shared.Shared")
