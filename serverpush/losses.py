"""Losses: the word of changes that a process could not report, left for the push server.

A process that ends with some leaves a file. One that has some waiting leaves a file
with its process id in the name, which counts when that process is no more: killed, it
can't say anything.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from serverpush.conf import config, losses_file

logger = logging.getLogger("serverpush")


def leave() -> None:
    """Say that something is missing in the log."""
    try:
        _leave(losses_file(config().notifier_port))
    except (OSError, ImproperlyConfigured) as error:
        _log(error)


class Will:
    """What the push server shall know should this process end without another word."""

    def __init__(self) -> None:
        self._is_left = False
        self._path: Path | None = None

    def leave(self) -> None:
        """Write it, unless it is there; what can't be written is logged, and not tried again."""
        # Elsewhere nobody can be asked whether the process is still there.
        if self._is_left or os.name != "posix":
            return
        self._is_left = True
        try:
            self._write(losses_file(config().notifier_port))
        except (OSError, ImproperlyConfigured) as error:
            _log(error)

    def take_back(self) -> None:
        """Nothing waits any more."""
        path, self._path, self._is_left = self._path, None, False
        if path is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log(error)

    def _write(self, losses: Path) -> None:
        pid = os.getpid()
        path = losses.with_name(f"{losses.name}.{pid}")
        losses.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            # From one that had this number and is no more.
            _leave(losses)
            path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._path = path
        with os.fdopen(descriptor, "w") as file:
            file.write(_started(pid) or "")


def left(path: Path) -> list[Path]:
    """The words that count: the one at ``path``, and those of processes that are no more.

    Raises ``OSError`` where it can't be seen what is there.
    """
    found = [path] if path.exists() else []
    if not path.parent.is_dir():
        return found
    return found + [each for each in path.parent.iterdir() if _is_of_the_dead(each, path)]


def _is_of_the_dead(word: Path, losses: Path) -> bool:
    name, _, pid = word.name.rpartition(".")
    if name != losses.name or not pid.isdecimal():
        return False
    try:
        started = word.read_bytes()
    except FileNotFoundError:
        # It was taken back just now.
        return False
    except OSError:
        # Another user's: its name has to do.
        started = b""
    return not _is_alive(int(pid), started.decode(errors="replace"))


def _leave(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)


def _log(error: Exception) -> None:
    logger.warning("open pages can't be told to refresh: %s", error)


def _is_alive(pid: int, started: str) -> bool:
    """Is there still that process, and not another that has its number now?"""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It is another user's.
        pass
    return not started or _started(pid) in (None, started)


def _started(pid: int) -> str | None:
    """When a process began, as Linux counts it; empty for one that only waits to be buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # Its second field is a name in brackets, in which anything may stand.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
