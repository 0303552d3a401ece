#!/usr/bin/env python
"""The demo's commands: runserver, runserverpush, shell …"""

import os
import sys
from pathlib import Path

# The checkout's own serverpush, whether or not the package is installed.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demosite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
