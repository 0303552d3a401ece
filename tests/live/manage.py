"""``manage.py`` of the live test site."""

import os
import sys

from django.core.management import execute_from_command_line

WITHOUT = "SERVERPUSH_TESTS_WITHOUT"
"""In the environment: the name of a defence that a command runs without."""


def prepare() -> None:
    """Choose the settings, and take the defence out."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.live.settings")
    if os.environ.get(WITHOUT):
        from tests.defences import BY_NAME

        BY_NAME[os.environ[WITHOUT]].take_out()


if __name__ == "__main__":
    prepare()
    execute_from_command_line(sys.argv)
