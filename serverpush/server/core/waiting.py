"""Waiting: what one run of a rendering is to serve, each change folded into what waits."""

from __future__ import annotations

from collections.abc import Iterator

from serverpush.server.core.cohorts import Audience, Cohort
from serverpush.server.core.connection import Connection
from serverpush.server.core.owed import Owed, Slot


class Waiting:
    """For each connection and update, what it is owed: once, by itself or with its cohort.

    Arguments:
        same_instance: is it a rendering of one instance, and not of a page as a whole?
    """

    def __init__(self, *, same_instance: bool) -> None:
        self._same_instance = same_instance
        self._present: dict[Slot, Owed] = {}
        self._absent: dict[Slot, Owed] = {}

    def __bool__(self) -> bool:
        return bool(self._present or self._absent)

    def __iter__(self) -> Iterator[Owed]:
        yield from self._present.values()
        yield from self._absent.values()

    def take(self) -> tuple[bool, list[Owed]]:
        """Take out what a run can serve: where the instance is present, or where it is not."""
        present = bool(self._present)
        waiting = self._present if present else self._absent
        owed = list(waiting.values())
        waiting.clear()
        return present, owed

    def put(self, owed: Owed) -> None:
        """Let something wait beside the rest."""
        owed.hold()
        # A view that takes no object runs the same whether it is there or not.
        is_present = owed.after or not self._same_instance
        (self._present if is_present else self._absent)[owed.slot] = owed

    def add(self, owed: Owed) -> None:
        """Let something wait, together with what waits for the same connections already."""
        if isinstance(owed.to, Audience):
            self._add_together(owed, owed.to)
        else:
            connection, mark = owed.to.connection, owed.mark
            self._fold(self._pop(owed.slot) or self._apart(connection, mark), owed)

    def _add_together(self, owed: Owed, to: Audience) -> None:
        for waiting in [each for each in self if each.mark == owed.mark]:
            if not isinstance(waiting.to, Audience):
                alone = [waiting.to.connection]
            elif waiting.to.cohort is not to.cohort:
                alone = list(waiting.to.left)
            else:
                continue
            for each in alone:
                if each in to:
                    self.add(owed.apart(each))
        earlier = self._pop(owed.slot)
        if earlier is not None:
            assert isinstance(earlier.to, Audience)
            self._split(earlier, earlier.to, owed, to)
        if earlier is not None or next(iter(to), None) is not None:
            self._fold(earlier, owed)
        else:
            # All of them wait by themselves; what was in doubt has held them back until now.
            owed.release()

    def _split(self, earlier: Owed, them: Audience, owed: Owed, to: Audience) -> None:
        """Let those wait by themselves who are owed only one of the two."""
        for each in [*them.left, *(each for each in to.out if each in them)]:
            self.put(earlier.apart(each))
        for each in [each for each in them.out if each in to] + to.since(them.upto):
            self._fold(None, owed.apart(each))

    def _fold(self, earlier: Owed | None, owed: Owed) -> None:
        if earlier is not None:
            if self._same_instance or owed.action is not None:
                earlier.fold(owed, same_instance=self._same_instance)
            # Else another instance's change that says nothing: what waits stays.
            owed.release()
            owed = earlier
        if owed.action is None:
            owed.release()
        else:
            self.put(owed)

    def _apart(self, connection: Connection, mark: str) -> Owed | None:
        """Take a connection out of what waits for its cohort, or for one that it was in."""
        cohorts: list[Cohort | None] = [connection.cohort]
        cohorts += [each.cohort for each in connection.past]
        for cohort in cohorts:
            together = cohort and self._get((cohort, mark))
            if together and isinstance(together.to, Audience) and connection in together.to:
                return together.apart(connection)
        return None

    def _get(self, slot: Slot) -> Owed | None:
        return self._present.get(slot) or self._absent.get(slot)

    def _pop(self, slot: Slot) -> Owed | None:
        return self._present.pop(slot, None) or self._absent.pop(slot, None)
