"""Topics: the messages that were sent to each, as far back as they are kept."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from serverpush.messages import USERS, Message, Topic
from serverpush.protocol import Position

Kept = tuple[Position, Message]
Limits = Callable[[Topic], tuple[int, float]]

# Bytes of data that all messages together may have.
MAX_BYTES = 64 * 1024 * 1024
# Bytes that a message takes in each of its topics beside its data.
OVERHEAD = 1000
# Topics that are looked at for what is too old in one tick.
SWEPT = 1000


@dataclass(slots=True)
class _History:
    """One topic's messages; all after ``floor`` are here."""

    floor: Position
    messages: deque[Kept] = field(default_factory=deque)


class Topics:
    """The messages by topic, oldest first.

    Arguments:
        floor: the position before which nothing is known.
        limits: gives how many messages of a topic are kept at most, and for how many
            seconds.
        seconds: how long it is remembered of a topic that its messages are gone: as long as
            those of any may be kept, for what is forgotten of one is forgotten of all.
    """

    def __init__(self, floor: Position, limits: Limits, seconds: float) -> None:
        self._seconds = seconds
        # Of the topics that are not here: nothing was sent to them after it that is not.
        self.floor = floor
        self._limits = limits
        # The one that was looked at last at the end.
        self._histories: OrderedDict[Topic, _History] = OrderedDict()
        # Where each message is, oldest first; some of them are no more.
        self._order: deque[tuple[Position, Topic]] = deque()
        self._count = 0
        self._bytes = 0
        # Where the last message to users is, or was: who came later has none to get.
        self.last_to_users: Position | None = None
        # The users to whom something was sent, by their topics, and where the last is or was.
        self._users: OrderedDict[Topic, Position] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Topic, Position, list[Kept]]]:
        """Each topic with its floor and its messages."""
        for topic, history in self._histories.items():
            yield topic, history.floor, list(history.messages)

    def begin(self, floor: Position) -> None:
        """Know nothing of what was before ``floor``."""
        self.floor = floor
        self._histories.clear()
        self._order.clear()
        self._users.clear()
        self._count = self._bytes = 0
        # There may have been one before.
        self.last_to_users = floor

    def messages(self) -> dict[Position, Message]:
        """All that are kept, each once."""
        return {
            position: message
            for history in self._histories.values()
            for position, message in history.messages
        }

    def add(self, position: Position, message: Message) -> None:
        """Keep a message that was given a position after all others."""
        for topic in message.topics:
            self.restore(topic, self._floor(topic), [(position, message)])

    def restore(self, topic: Topic, floor: Position, messages: list[Kept]) -> None:
        """Put messages behind those of a topic; all after ``floor`` are known."""
        history = self._histories.setdefault(topic, _History(floor))
        for position, message in messages:
            if topic.startswith(USERS):
                self.last_to_users = max(self.last_to_users or position, position)
                self._users[topic] = position
                self._users.move_to_end(topic)
            history.messages.append((position, message))
            self._order.append((position, topic))
            self._count += 1
            self._bytes += _size(message)
        self._trim(topic, history)
        while self._bytes > MAX_BYTES:
            self._drop_oldest()
        if len(self._order) > 2 * self._count + SWEPT:
            self._order = deque(self._there())

    def restored(self) -> None:
        """All topics of another life have been restored, one after another."""
        self._order = deque(self._there())
        self._users = OrderedDict(sorted(self._users.items(), key=lambda one: one[1]))
        # There may have been one that is no more.
        self.last_to_users = max(self.last_to_users or self.floor, self.floor)

    def since(self, topic: Topic, since: Position) -> list[Kept]:
        """The messages of a topic after ``since``."""
        history = self._histories.get(topic)
        if history is None:
            return []
        found = []
        for kept in reversed(history.messages):
            if kept[0] <= since:
                break
            found.append(kept)
        found.reverse()
        return found

    def users_after(self, since: Position) -> list[str]:
        """The keys of users to whom something was sent after ``since``, as far as it is known."""
        found = []
        for topic, last in reversed(self._users.items()):
            if last <= since:
                break
            found.append(topic.removeprefix(USERS))
        return found

    def covers(self, topic: Topic, since: Position) -> bool:
        """Is every message that was sent to the topic after ``since`` still here?"""
        return since >= self._floor(topic)

    def trim(self, now: Position) -> None:
        """Forget what is too old, of some topics each time."""
        for _ in range(min(SWEPT, len(self._histories))):
            topic, history = next(iter(self._histories.items()))
            self._histories.move_to_end(topic)
            self._trim(topic, history, now)
            if not history.messages and history.floor.time < now.time - self._seconds * 1000:
                # A topic may never be used again: what is known of it is known of all.
                del self._histories[topic]
                self._users.pop(topic, None)
                self.floor = max(self.floor, history.floor)

    def _floor(self, topic: Topic) -> Position:
        history = self._histories.get(topic)
        return self.floor if history is None else history.floor

    def _trim(self, topic: Topic, history: _History, now: Position | None = None) -> None:
        size, seconds = self._limits(topic)
        messages = history.messages
        if now is None:
            if not messages:
                return
            now = messages[-1][0]
        oldest = now.time - int(seconds * 1000)
        while messages and (len(messages) > size or messages[0][0].time < oldest):
            self._drop(history)

    def _drop(self, history: _History) -> None:
        history.floor, message = history.messages.popleft()
        self._count -= 1
        self._bytes -= _size(message)

    def _drop_oldest(self) -> None:
        position, topic = self._order.popleft()
        history = self._histories.get(topic)
        if history is not None and history.messages and history.messages[0][0] == position:
            self._drop(history)

    def _there(self) -> list[tuple[Position, Topic]]:
        return sorted(
            (position, topic)
            for topic, history in self._histories.items()
            for position, _ in history.messages
        )


def _size(message: Message) -> int:
    """What it takes in one topic; its data is there once for all of them."""
    return OVERHEAD + len(message.data) // max(1, len(message.topics))
