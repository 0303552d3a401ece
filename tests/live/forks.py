"""Runs code in the live test site's Django, each time in a process of its own.

Django is loaded once, and each process is forked from that: to save one row takes
milliseconds, not the second of a ``manage.py shell``. A line of stdin is code as JSON, a line
of stdout the exit status and the two outputs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

import django

from tests.live.manage import prepare


def main() -> None:
    prepare()
    django.setup()
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
            child = os.fork()
            if not child:
                os.dup2(out.fileno(), 1)
                os.dup2(error.fileno(), 2)
                exec(json.loads(line), {"__name__": "__main__"})
                # As any process ends: what waits to be reported goes out.
                sys.exit()
            _, status = os.waitpid(child, 0)
            outputs = []
            for each in (out, error):
                each.seek(0)
                outputs.append(each.read())
        print(json.dumps([os.waitstatus_to_exitcode(status), *outputs]), flush=True)


if __name__ == "__main__":
    main()
