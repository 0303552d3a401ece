"""Counts the queries of every process of the site, where a test asks for it."""

import json
import os

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class SiteConfig(AppConfig):
    name = "tests.chaos.site"
    label = "chaos"

    def ready(self):
        path = os.environ.get("CHAOS_QUERIES")
        if path:
            log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            connection_created.connect(_wrapping(log), weak=False, dispatch_uid="chaos")


def _wrapping(log):
    def note(execute, sql, params, many, context):
        # One write each: lines of several processes never mix.
        line = json.dumps([os.getpid(), sql, list(params or ())], default=str)
        os.write(log, f"{line}\n".encode())
        return execute(sql, params, many, context)

    def wrap(sender, connection, **kwargs):
        # A connection that is made again has it.
        if note not in connection.execute_wrappers:
            connection.execute_wrappers.append(note)

    return wrap
