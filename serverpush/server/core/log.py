"""The log: what happened, in order, as far back as it is kept."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from typing import Any

from serverpush.exceptions import BadMessage
from serverpush.messages import Message, Topic
from serverpush.protocol import Change, Gap, Key, Position
from serverpush.server.core.topics import Limits, Topics

Entry = Change | Gap
Instance = tuple[str, Key]

STATE_VERSION = 4
# By which the clock may have been set back between two starts.
CLOCK_MILLISECONDS = 1000


class Log:
    """Positions, history and trimming.

    Arguments:
        epoch: names this log's life; a position of another epoch is not covered.
        now: seconds since the epoch when the log begins.
        size: entries kept at most.
        seconds: how long an entry is kept.
        limits: the same for the messages of a topic; None: as for all else.
        longest: seconds for which the messages of any topic are kept; None: as all else.
    """

    def __init__(
        self,
        *,
        epoch: str,
        now: float,
        size: int,
        seconds: float,
        limits: Limits | None = None,
        longest: float | None = None,
    ) -> None:
        self.epoch = epoch
        self.size = size
        self.seconds = seconds
        self.now = now
        self.head = Position(_milliseconds(now), 0, epoch)
        # Everything after the floor is here; what came before it is not known.
        self.floor = self.head
        self._entries: deque[tuple[Position, Entry]] = deque()
        # The same by instance, the one that changed last at the end; and the gaps.
        self._instances: OrderedDict[Instance, deque[tuple[Position, Change]]] = OrderedDict()
        self._gaps: deque[Position] = deque()
        # Messages have histories of their own, which may reach further back.
        self.topics = Topics(
            self.floor, limits or (lambda topic: (size, seconds)), max(seconds, longest or 0)
        )
        self._last_gap: Position | None = None
        # Are the positions given by others?
        self._is_shared = False

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Entry | Message, now: float) -> Position:
        """Give the entry its position, the greatest so far even if the clock went back."""
        self.now = now
        time = self.head.time if self._is_shared else max(_milliseconds(now), self.head.time)
        number = self.head.number + 1 if time == self.head.time else 1
        self.head = Position(time, number, self.epoch)
        if isinstance(entry, Message):
            self.topics.add(self.head, entry)
        else:
            self._keep(self.head, entry)
            self.trim(now)
        return self.head

    def share(self, floor: Position) -> None:
        """Follow a log that others follow too, from ``floor`` on; nothing is known of before."""
        while self._entries:
            self._drop_oldest()
        self._is_shared = True
        self.epoch, self.head, self.floor = floor.epoch, floor, floor
        self._last_gap = None
        self.topics.begin(floor)

    def place(self, position: Position) -> None:
        """Let what is appended next come right behind a position of the log that is shared.

        Nothing moves where that is not behind all that is here.
        """
        self.head = max(self.head, position)

    def trim(self, now: float) -> None:
        """Forget what is over the size or the age."""
        oldest = _milliseconds(now - self.seconds)
        while self._entries and (
            len(self._entries) > self.size or self._entries[0][0].time < oldest
        ):
            self._drop_oldest()

    def _keep(self, position: Position, entry: Entry) -> None:
        self._entries.append((position, entry))
        if isinstance(entry, Gap):
            self._gaps.append(position)
            self._last_gap = position
            return
        instance = (entry.model, entry.pk)
        self._instances.setdefault(instance, deque()).append((position, entry))
        self._instances.move_to_end(instance)

    def _drop_oldest(self) -> None:
        self.floor, entry = self._entries.popleft()
        if isinstance(entry, Gap):
            self._gaps.popleft()
            return
        changes = self._instances[entry.model, entry.pk]
        changes.popleft()
        if not changes:
            del self._instances[entry.model, entry.pk]

    def at(self, timestamp: float) -> Position:
        """The position that stands for a time in seconds: all that came later follows it."""
        return Position(_milliseconds(timestamp), 0, self.epoch)

    def hears_from(self, since: Position) -> Position:
        """After which position something that comes is new to one who stands at ``since``.

        A log that is shared may have been read less far than that.
        """
        is_ahead = self._is_shared and since.epoch == self.epoch
        return max(since, self.head) if is_ahead else self.head

    def covers(self, since: Position) -> bool:
        """Is everything that came after ``since`` still here?"""
        return since.epoch == self.epoch and since >= self.floor

    def since(self, since: Position) -> list[tuple[Position, Entry]]:
        """The entries after ``since``, oldest first."""
        found = []
        for position, entry in reversed(self._entries):
            if position <= since:
                break
            found.append((position, entry))
        found.reverse()
        return found

    def fading(self) -> Position:
        """Who stands before this has seen a quarter of the history go by."""
        by_age = self.at(self.now - self.seconds / 4)
        quarter = self.size // 4
        if 0 < quarter <= len(self._entries):
            return max(by_age, self._entries[-quarter][0])
        return by_age

    def has_gap(self, since: Position) -> bool:
        """Was anything lost after ``since``?"""
        return bool(self._gaps) and self._gaps[-1] > since

    def covers_topic(self, topic: Topic, since: Position) -> bool:
        """Is every message that was sent to a topic after ``since`` here, and was none lost?"""
        if since.epoch != self.epoch or not self.topics.covers(topic, since):
            return False
        return self._last_gap is None or self._last_gap <= since

    def changes(
        self, since: Position, models: Collection[str]
    ) -> Iterator[tuple[Instance, list[tuple[Position, Change]]]]:
        """The instances of these models that changed after ``since``, with their changes.

        The one that changed last comes first; the changes of each, oldest first.
        """
        for instance, changes in reversed(self._instances.items()):
            if changes[-1][0] <= since:
                break
            if instance[0] in models:
                yield instance, [each for each in changes if each[0] > since]

    def dump(self) -> Iterator[str]:
        """The log as lines of JSON, for the next start of the server."""
        kept = self.topics.messages()
        yield json.dumps(
            {
                "version": STATE_VERSION,
                "epoch": self.epoch,
                "head": str(self.head),
                "floor": str(self.floor),
                "entries": len(self._entries),
                "gap": None if self._last_gap is None else str(self._last_gap),
                "topics": str(self.topics.floor),
                "messages": len(kept),
            }
        )
        for position, entry in self._entries:
            value = {"gap": entry.reason} if isinstance(entry, Gap) else entry.to_json()
            yield json.dumps([str(position), value])
        # Each message once, however many users it is for.
        for position, each in kept.items():
            yield json.dumps([str(position), each.event, each.data, each.at, each.name])
        for topic, floor, messages in self.topics:
            yield json.dumps([topic, str(floor), [str(position) for position, _ in messages]])

    def load(self, lines: list[str]) -> None:
        """Continue a dumped log; raises ``BadMessage`` where it is not whole."""
        try:
            header = json.loads(lines[0])
            count = header["entries"]
            if header["version"] != STATE_VERSION or count > len(lines) - 1:
                raise BadMessage("it is of another version, or not whole")
            entries = [_entry(json.loads(line)) for line in lines[1 : 1 + count]]
            rest = 1 + count + header["messages"]
            topics = _topics(lines[1 + count : rest], lines[rest:])
            gap = None if header["gap"] is None else Position.parse(header["gap"])
            topics_floor = Position.parse(header["topics"])
            head, floor = Position.parse(header["head"]), Position.parse(header["floor"])
            epoch = str(header["epoch"])
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise BadMessage(f"it can't be read ({type(error).__name__})") from error
        if head.time > self.head.time + CLOCK_MILLISECONDS:
            # Pages rendered from now on would all seem to be from before it.
            raise BadMessage("it is from a time that is yet to come: was the clock set back?")
        self.epoch, self.head, self.floor = epoch, head, floor
        for position, entry in entries:
            self._keep(position, entry)
        self._last_gap = gap
        self.topics.floor = topics_floor
        for topic in topics:
            self.topics.restore(*topic)
        self.topics.restored()


def _entry(value: Any) -> tuple[Position, Entry]:
    text, entry = value
    if set(entry) == {"gap"}:
        return Position.parse(text), Gap(entry["gap"])
    return Position.parse(text), Change.from_json(entry)


def _topics(
    messages: list[str], topics: list[str]
) -> list[tuple[Topic, Position, list[tuple[Position, Message]]]]:
    """What was dumped of topics; a message of several is there once."""
    placed = [json.loads(line) for line in topics]
    audience: dict[str, list[Topic]] = {}
    for topic, _, positions in placed:
        for position in positions:
            audience.setdefault(position, []).append(topic)
    kept = {
        # A version before this one gave them no names.
        position: (Position.parse(position), Message(tuple(audience[position]), *told))
        for position, *told in map(json.loads, messages)
    }
    return [
        (topic, Position.parse(floor), [kept[position] for position in positions])
        for topic, floor, positions in placed
    ]


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
