"""Reloading on code changes, with Django's reloader, but ending the child gracefully.

``autoreload.run_with_reloader`` kills its child when it is itself ended; a push
server has a log to leave behind and renderers to end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.utils import autoreload

# What the child exits with when the code has changed (django.utils.autoreload).
CHANGED = 3
_ENDING = (signal.SIGTERM, signal.SIGINT)


def run_with_reloader(main: Callable[..., None], *args: Any) -> None:
    """Run ``main(*args)`` in a thread of a child process, which begins anew with new code."""
    if os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true":
        for number in _ENDING:
            signal.signal(number, _leave)
        autoreload.file_changed.connect(_begin_anew)
        autoreload.start_django(autoreload.get_reloader(), main, *args)
    else:
        sys.exit(_keep_child())


def _begin_anew(sender: Any, file_path: Path, **kwargs: Any) -> None:
    # For a template or a translation Django only clears this process's caches. Those that
    # render are others.
    autoreload.trigger_reload(str(file_path))


def _leave(*_: Any) -> None:
    # Ctrl-C reaches the child twice: by itself, and passed on by its parent. No SIG_IGN:
    # Python complains of a signal that comes while it is being set.
    for number in _ENDING:
        signal.signal(number, lambda *_: None)
    sys.exit(0)


def _keep_child() -> int:
    environ = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    status = CHANGED
    while status == CHANGED:
        child = subprocess.Popen(autoreload.get_child_arguments(), env=environ)
        for number in _ENDING:
            signal.signal(number, lambda *_, child=child: child.terminate())
        status = child.wait()
    return status
