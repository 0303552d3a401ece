"""The state file: where a graceful stop leaves the log for the next start."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from serverpush.exceptions import BadMessage
from serverpush.server.core.log import Log

logger = logging.getLogger("serverpush.server")


def load(log: Log, path: Path) -> bool:
    """Continue the log that was left at ``path``; was there one?

    The file is taken away: after a crash it would tell of a time long gone. One
    that can't be read is set aside under another name, and the log begins anew.
    """
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        logger.error("state file %s: %s; the log begins anew", path, error)
        return False
    try:
        log.load(lines)
    except BadMessage as error:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        logger.error("state file %s: %s; set aside as %s", path, error, aside.name)
        return False
    path.unlink()
    return True


def save(log: Log, path: Path) -> None:
    """Leave the log at ``path``: whole or not at all, readable by its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(line + "\n" for line in log.dump())
        os.replace(name, path)
    except OSError as error:
        logger.error("state file %s: %s; clients will be told to refresh", path, error)
