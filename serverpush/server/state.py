"""The state file: where a graceful stop leaves what the next start continues."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from serverpush.exceptions import BadMessage, CannotStart
from serverpush.server.core.access import Access
from serverpush.server.core.log import Log
from serverpush.server.core.presence import Presence
from serverpush.server.notifier import Notifier

logger = logging.getLogger("serverpush.server")


@dataclass(frozen=True)
class Kept:
    """What a graceful stop leaves for the next start."""

    log: Log
    access: Access
    presence: Presence
    notifier: Notifier


def load(kept: Kept, path: Path, now: float) -> bool:
    """Continue what was left at ``path``; was there anything?

    ``now`` is in seconds since the epoch.

    The file is taken away first: after a crash it would tell of a time long gone.
    One that can't be read is set aside under another name, and the log begins anew.
    Raises ``CannotStart`` for one that can't be taken away.
    """
    taken = path.with_suffix(".taken")
    if not _take(path, taken):
        return False
    try:
        text = taken.read_text()
    except UnicodeDecodeError:
        _set_aside(taken, path, "it is not text")
        return False
    except OSError as error:
        logger.error("state file %s: %s; the log begins anew", path, error)
        return False
    try:
        _load(kept, text.splitlines(), now)
    except BadMessage as error:
        _set_aside(taken, path, error)
        return False
    _remove(taken)
    return True


def drop(path: Path) -> bool:
    """Remove what was left at ``path``, where the log is in Redis; was there anything?

    A later start without Redis would take it for the log up to its own time. Raises
    ``CannotStart`` where it can't be removed.
    """
    taken = path.with_suffix(".taken")
    if not _take(path, taken):
        return False
    _remove(taken)
    return True


def _take(path: Path, taken: Path) -> bool:
    try:
        path.replace(taken)
    except OSError as error:
        if _is_absent(path):
            # A file system that is read-only says nothing else of it.
            return False
        raise CannotStart(
            f"the state file {path} can't be taken away ({error.strerror or error}), and a later "
            "start would tell pages by it that they are up to date: remove it, or set "
            "SERVERPUSH_STATE_FILE to a path whose folder this user may write to"
        ) from None
    return True


def _is_absent(path: Path) -> bool:
    """Is there no file, and is that certain?"""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _load(kept: Kept, lines: list[str], now: float) -> None:
    try:
        digest, parts = lines[0], json.loads(lines[1])
        access, presence, batches = parts["access"], parts["presence"], parts["batches"]
        # Not in what the first versions left.
        untold = parts.get("untold", [])
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise BadMessage(f"it can't be read ({type(error).__name__})") from error
    if digest != _digest(lines[1:]):
        raise BadMessage("it is not what was written")
    kept.access.load(access)
    kept.presence.load(presence, now)
    kept.presence.load_untold(untold)
    kept.notifier.load(batches)
    # The last: without the log that they belong to, what was taken before does no harm.
    kept.log.load(lines[2:])


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _set_aside(taken: Path, path: Path, reason: object) -> None:
    aside = path.with_suffix(".damaged")
    try:
        taken.replace(aside)
    except OSError as error:
        logger.error("state file %s: %s; it can't be set aside: %s", path, reason, error)
    else:
        logger.error("state file %s: %s; set aside as %s", path, reason, aside.name)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        logger.error("%s", error)


def save(kept: Kept, path: Path) -> None:
    """Leave it all at ``path``: whole or not at all, readable by its owner only."""
    parts = {
        "access": kept.access.dump(),
        "presence": kept.presence.dump(),
        "untold": kept.presence.dump_untold(),
        "batches": kept.notifier.dump(),
    }
    lines = [json.dumps(parts), *kept.log.dump()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.writelines(line + "\n" for line in [_digest(lines), *lines])
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            _remove(Path(name))
            raise
    except OSError as error:
        logger.error("state file %s: %s; clients will be told to refresh", path, error)
