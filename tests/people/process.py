"""Code of a test in a process with other settings."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
SET_UP = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", "--run-syncdb", verbosity=0)
"""


def printed(settings, code):
    """What code prints in a process with these settings and an empty database."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SET_UP + textwrap.dedent(code)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": f"tests.people.{settings}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
