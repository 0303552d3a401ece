"""Settings of the demo. What django-serverpush needs is marked with # live."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("DEMO_SECRET_KEY", "for the demo only, and no secret")
DEBUG = os.environ.get("DEMO_DEBUG", "1") == "1"
ALLOWED_HOSTS = os.environ.get("DEMO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "serverpush",  # live
    "pages",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "serverpush.middleware.ServerPushMiddleware",  # live
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "serverpush.client.context_processor",  # live
            ]
        },
    }
]

SERVERPUSH_PORT = int(os.environ.get("PUSH_PORT", "8013"))  # live
SERVERPUSH_CHANNELS = {"room-*": {"history": 100, "presence": True}}  # live
SERVERPUSH_NOTIFIER_PORT = int(os.environ.get("NOTIFIER_PORT", "8014"))  # live
# Of the demo with several push servers; see cluster.py.
SERVERPUSH_BACKEND = os.environ.get("DEMO_BACKEND", "memory")
SERVERPUSH_URL = os.environ.get("DEMO_URL")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DEMO_DATABASE", BASE_DIR / "demo.sqlite3"),
        # The site, the push server's renderers and any shell share this file.
        "OPTIONS": {
            "timeout": 10,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOT_URLCONF = "demosite.urls"
WSGI_APPLICATION = "demosite.wsgi.application"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "tasks"

# Browsers share localhost's cookies between all its ports, and so all projects.
SESSION_COOKIE_NAME = "demo_session"
CSRF_COOKIE_NAME = "demo_csrf"
# The hello page shows three small pages in frames.
X_FRAME_OPTIONS = "SAMEORIGIN"

TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {
        "django.server": {"level": "WARNING"},
        "django.utils.autoreload": {"level": "WARNING"},
    },
}
