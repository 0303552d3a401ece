"""A small site in memory, with django-serverpush or without: ``BENCH_WITH`` says."""

import os

import tests.settings

WITH = os.environ["BENCH_WITH"] == "1"
# The push server's, whose notifier takes what is signed with it.
SECRET_KEY = tests.settings.SECRET_KEY
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "benchmarks.urls_costs"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    *(["serverpush"] if WITH else []),
    "tests.project",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    *(["serverpush.middleware.ServerPushMiddleware"] if WITH else []),
]
TEMPLATES = tests.settings.TEMPLATES if WITH else []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
SERVERPUSH_NOTIFIER_PORT = int(os.environ.get("BENCH_PORT", "1"))
