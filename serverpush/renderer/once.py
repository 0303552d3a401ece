"""One log line for each thing that goes wrong, however often it does."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable

logger = logging.getLogger("serverpush.renderer")

# Keys name updates and paths, of which a project has a few; the bound is for
# keys that a bug makes endless.
_LIMIT = 1000
_seen: OrderedDict[Hashable, None] = OrderedDict()


def error_once(key: Hashable, message: str, *args: object) -> None:
    """Log ``message % args`` as an error, the first time that ``key`` comes."""
    if key in _seen:
        _seen.move_to_end(key)
        return
    _seen[key] = None
    if len(_seen) > _LIMIT:
        _seen.popitem(last=False)
    logger.error(message, *args)


def forget() -> None:
    """Log everything anew."""
    _seen.clear()
