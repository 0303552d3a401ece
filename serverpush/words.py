"""The words of lost changes that the site's processes leave for the push server."""

from __future__ import annotations

import logging
from pathlib import Path

from serverpush import losses

logger = logging.getLogger("serverpush.server")


class Words:
    """Takes each word once.

    Arguments:
        path: where a process leaves one; its own stand beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # What can't be taken away was heard all the same: by name, with its time.
        self._stuck: dict[Path, float] = {}
        self._trouble = ""

    def take(self) -> bool:
        """Is there a word that has not been taken? Logs once what keeps it from being heard."""
        try:
            found = losses.left(self._path)
        except OSError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                logger.error("%s: %s", self._path, error)
            return False
        self._trouble = ""
        self._stuck = {word: at for word, at in self._stuck.items() if word in found}
        taken = [self._take(each) for each in found]
        return any(taken)

    def _take(self, word: Path) -> bool:
        try:
            left = word.stat().st_mtime
            if self._stuck.get(word) == left:
                return False
            self._remove(word, left)
        except FileNotFoundError:
            return False
        return True

    def _remove(self, word: Path, left: float) -> None:
        try:
            word.unlink()
        except PermissionError as error:
            self._stuck[word] = left
            logger.error("%s was heard, and can't be taken away: %s", word, error)
