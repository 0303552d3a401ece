"""A process of the site that writes: ``python -m tests.chaos.writer``.

Takes commands as lines of JSON, ``{"do": NAME, …}``, and answers each with
``{"done": …}``. Before that it prints ``{"commit": [pk, version, row, at,
is_committed]}`` for each write, after its transaction has ended, and ``{"sent":
[number, at, is_committed]}`` for each note.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import django
from django.db import transaction

MAX_LEVEL = 100


class RolledBack(Exception):
    """Ends a transaction that is not to be."""


class Writer:
    """Makes commits, and remembers what the rows are by them.

    ``version`` grows with each attempt to save, so that each state is told from
    every other, also from those that were never committed.
    """

    def __init__(self) -> None:
        from tests.chaos.site.models import Item  # needs the apps to be ready

        self.Item = Item
        self.rows: dict[int, list[Any]] = {}
        self.gone: dict[int, list[Any]] = {}
        self._versions = itertools.count(1)
        self._notes = itertools.count(1)
        self._random = random.Random(0)
        self._channel = ""

    def run(self, lines: Iterable[str]) -> None:
        for line in lines:
            command = json.loads(line)
            done = getattr(self, command.pop("do"))(**command)
            print(json.dumps({"done": done}), flush=True)

    # Commands

    def seed(self, rows: int, groups: int) -> None:
        """Make the first rows, unreported: nobody is there yet."""
        for pk in range(1, rows + 1):
            level = self._random.randrange(MAX_LEVEL)
            self.rows[pk] = [next(self._versions), f"g{pk % groups}", level]
        self.Item.objects.bulk_create(self._instance(pk, row) for pk, row in self.rows.items())
        for pk, row in self.rows.items():
            self._tell(pk, row[0], row)

    def mix(
        self, count: int, rate: float, seed: int = 0, notes: int = 6, channel: str = ""
    ) -> None:
        """Make ``count`` writes of all kinds, ``rate`` a second.

        Beside each hundred of them so many ``notes`` go to a ``channel``, or to everybody.
        """
        self._channel = channel
        self._random.seed(seed)
        begin = time.monotonic()
        made = 0
        while made < count:
            made += self._random.choices(
                [
                    self._save,
                    self._move,
                    self._both,
                    self._take_back,
                    self._take_back_by_hand,
                    self._delete,
                    self._create,
                    self._send,
                    self._send_in_vain,
                ],
                [58, 20, 8, 4, 2, 4, 4, notes, 2],
            )[0]()
            # The rate at which it writes is what was asked for: nothing is waited for.
            time.sleep(max(0, begin + made / rate - time.monotonic()))

    def take_back(self, count: int) -> None:
        """Make transactions and savepoints that are rolled back, of each kind in turn."""
        kinds: list[Callable[[], int]] = [
            self._take_back,
            self._set_rollback,
            self._savepoint,
            self._create_in_vain,
            self._delete_in_vain,
        ]
        for number in range(count):
            kinds[number % len(kinds)]()

    def touch(self, pks: list[int]) -> None:
        """Save each of these once, and send a note."""
        for pk in pks:
            self._save(pk)
        self._send()

    def flood(self, pk: int, count: int) -> None:
        """Save one instance ``count`` times, as fast as can be."""
        for _ in range(count):
            self._save(pk)

    def final(self) -> dict[int, list[Any]]:
        """What the database holds."""
        rows = self.Item.objects.values_list("pk", "version", "group", "level")
        return {pk: row for pk, *row in rows}

    def adopt(self) -> None:
        """Take it that others wrote, too."""
        self.rows = self.final()

    # Writes

    def _save(self, pk: int | None = None) -> int:
        pk = pk or self._any()
        return self._write(pk, [next(self._versions), *self.rows[pk][1:]])

    def _move(self) -> int:
        group, level = self._any(), self._random.randrange(MAX_LEVEL)
        return self._write(self._any(), [next(self._versions), self.rows[group][1], level])

    def _write(self, pk: int, row: list[Any]) -> int:
        self._instance(pk, row).save(force_update=True)
        self._committed(pk, row)
        return 1

    def _both(self) -> int:
        """Two instances in a transaction, one of them twice: its first state is never seen."""
        one, other = self._any(), self._any()
        first, second, third = (
            [next(self._versions), *self.rows[pk][1:]] for pk in (one, other, one)
        )
        with transaction.atomic():
            self._instance(one, first).save()
            self._instance(other, second).save()
            self._instance(one, third).save()
        self._tell(one, first[0], first, is_committed=False)
        if other == one:
            self._tell(other, second[0], second, is_committed=False)
        else:
            self._committed(other, second)
        self._committed(one, third)
        return 2

    def _delete(self) -> int:
        pk = self._any()
        if len(self.gone) > len(self.rows) // 4:
            return self._save(pk)
        self._instance(pk, self.rows[pk]).delete()
        self.gone[pk] = self.rows.pop(pk)
        self._tell(pk, next(self._versions), None)
        return 1

    def _create(self) -> int:
        """Create one that was deleted before: the keys stay few."""
        if not self.gone:
            return self._save()
        pk = self._random.choice(sorted(self.gone))
        row = [next(self._versions), *self.gone.pop(pk)[1:]]
        self._instance(pk, row).save(force_insert=True)
        self._committed(pk, row)
        return 1

    # What is never seen

    def _take_back(self) -> int:
        self._take_back_inside(*self._vain())
        return 0

    def _set_rollback(self) -> int:
        pk, row = self._vain()
        with transaction.atomic():
            self._instance(pk, row).save()
            transaction.set_rollback(True)
        self._tell(pk, row[0], row, is_committed=False)
        return 0

    def _savepoint(self) -> int:
        """A savepoint that is rolled back in a transaction that commits."""
        pk, row = self._vain()
        with transaction.atomic():
            self._take_back_inside(pk, row)
        return 0

    def _take_back_inside(self, pk: int, row: list[Any]) -> None:
        try:
            with transaction.atomic():
                self._instance(pk, row).save()
                raise RolledBack
        except RolledBack:
            self._tell(pk, row[0], row, is_committed=False)

    def _take_back_by_hand(self) -> int:
        """A savepoint that Django's ``on_commit`` does not know of: the change is reported."""
        pk, row = self._vain()
        with transaction.atomic():
            savepoint = transaction.savepoint()
            self._instance(pk, row).save()
            transaction.savepoint_rollback(savepoint)
        self._tell(pk, row[0], row, is_committed=False)
        return 0

    def _create_in_vain(self) -> int:
        _, row = self._vain()
        try:
            with transaction.atomic():
                self.Item.objects.create(version=row[0], group=row[1], level=row[2])
                raise RolledBack
        except RolledBack:
            return 0

    def _delete_in_vain(self) -> int:
        pk = self._any()
        try:
            with transaction.atomic():
                self._instance(pk, self.rows[pk]).delete()
                raise RolledBack
        except RolledBack:
            return 0

    def _vain(self) -> tuple[int, list[Any]]:
        pk = self._any()
        return pk, [next(self._versions), *self.rows[self._any()][1:]]

    # Notes

    def _send(self) -> int:
        """Tell everybody a number."""
        number = next(self._notes)
        self._notify(number)
        self._told("sent", [number, time.time(), True])
        return 0

    def _send_in_vain(self) -> int:
        number = next(self._notes)
        try:
            with transaction.atomic():
                self._notify(number)
                raise RolledBack
        except RolledBack:
            self._told("sent", [number, time.time(), False])
        return 0

    def _notify(self, number: int) -> None:
        from serverpush import client  # needs the apps to be ready

        if self._channel:
            client.send_update(self._channel, {"number": number}, event="note")
        else:
            client.notify_all({"number": number}, event="note")

    # What was done

    def _any(self) -> int:
        return self._random.choice(sorted(self.rows))

    def _instance(self, pk: int, row: list[Any]) -> Any:
        return self.Item(pk=pk, version=row[0], group=row[1], level=row[2])

    def _committed(self, pk: int, row: list[Any]) -> None:
        self.rows[pk] = row
        self._tell(pk, row[0], row)

    def _tell(self, pk: int, version: int, row: Any, is_committed: bool = True) -> None:
        self._told("commit", [pk, version, row, time.time(), is_committed])

    def _told(self, what: str, value: list[Any]) -> None:
        print(json.dumps({what: value}), flush=True)


if __name__ == "__main__":
    django.setup()
    Writer().run(sys.stdin)
