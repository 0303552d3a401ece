"""A whole site for tests with real processes: addresses and database come by environment."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

DEBUG = os.environ.get("LIVE_DEBUG") == "1"
ROOT_URLCONF = os.environ.get("LIVE_URLS", "tests.live.urls")
WSGI_APPLICATION = os.environ.get("LIVE_WSGI", "tests.live.wsgi.application")
INSTALLED_APPS = [*INSTALLED_APPS, "tests.live"]
MIDDLEWARE = ["tests.live.middleware.StaticMiddleware", *MIDDLEWARE]
TEMPLATES = [{**TEMPLATES[0], "DIRS": [os.environ.get("LIVE_TEMPLATES", "templates")]}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["LIVE_DATABASE"],
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}
SERVERPUSH_PORT = int(os.environ.get("LIVE_PORT", "0"))
SERVERPUSH_NOTIFIER_PORT = int(os.environ.get("LIVE_NOTIFIER_PORT", "0"))
SERVERPUSH_BACKEND = os.environ.get("LIVE_BACKEND", "memory")
# An empty LIVE_STATE: by project and notifier port.
SERVERPUSH_STATE_FILE = os.environ.get("LIVE_STATE", os.environ["LIVE_DATABASE"] + ".state") or None
SERVERPUSH_RENDERERS = int(os.environ.get("LIVE_RENDERERS", "1"))
SERVERPUSH_RENDER_TIMEOUT = float(os.environ.get("LIVE_RENDER_TIMEOUT", "10"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"serverpush": {"handlers": ["stderr"], "level": "INFO"}},
}
