"""The app: connects the models' signals and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from serverpush import checks
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
