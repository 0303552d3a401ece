"""Messaging: who gets which message, at once or when they come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from serverpush.exceptions import BadMessage
from serverpush.jobs import IdentifyJob, UsersJob
from serverpush.messages import EVERYBODY, PRESENCE, USERS, Message, Topic, place_of, user_topic
from serverpush.protocol import Ending, Position, dump
from serverpush.results import IdentifyResult, UsersResult
from serverpush.server.core.actions import Action, End, Refresh, Report, Send
from serverpush.server.core.bearers import Bearers, Sought
from serverpush.server.core.log import Log
from serverpush.server.core.people import Asked, People
from serverpush.server.core.registry import Registry
from serverpush.server.core.strangers import Stranger, Unseen, Whose
from serverpush.server.core.topics import Kept

# That one connection may follow, beside everybody's and its user's.
MAX_TOPICS = 200
# Bytes of an event beside its data.
OVERHEAD = 250


class Messaging:
    """Topics and who follows them.

    Arguments:
        log: where messages get their positions, and are kept.
        registry: the connections.
        unsettled: the position up to which it is known whom each change affects.
        bind: takes that a connection is a user's; is there still access?
        most: characters of data that one replay may have.
    """

    def __init__(
        self,
        log: Log,
        registry: Registry,
        unsettled: Callable[[], Position],
        bind: Callable[[str, str], bool] = lambda id, user: True,
        most: int = 500_000,
    ) -> None:
        self._bind = bind
        self._most = most
        self._log = log
        self._registry = registry
        self._unsettled = unsettled
        self._people = People()
        self._bearers = Bearers()
        self._unseen: dict[str, Unseen] = {}
        # With the position from which on each hears.
        self._followers: dict[Topic, dict[str, Position]] = {}
        self._followed: dict[str, dict[Topic, None]] = {}

    # Connections

    def connect(
        self, id: str, since: Position, whose: Whose, *, is_unseen: bool = False
    ) -> list[Action]:
        """Let a connection of the registry hear what is for everybody and for its user.

        Arguments:
            since: where it stands.
            is_unseen: nobody knows whether there is still access: all that it is to
                hear waits for ``seen``, in its order.
        """
        if not is_unseen:
            return self._let_hear(id, since, whose)
        unseen = self._unseen[id] = Unseen(Stranger(id, since), whose)
        if not self._log.covers_topic(EVERYBODY, since):
            self._suspect(unseen.stranger, self._log.head)
            return [Refresh((id,), "history")]
        self._suspect(unseen.stranger, since)
        return []

    def seen(self, id: str) -> list[Action]:
        """There is access: let a connection hear what waited."""
        unseen = self._unseen.pop(id, None)
        if unseen is None:
            return []
        since = self._settle(unseen.stranger)
        return self._let_hear(id, since or self._log.head, unseen.whose, unseen.ended)

    @property
    def unseen(self) -> list[str]:
        """The connections that wait for ``seen``."""
        return list(self._unseen)

    def _let_hear(
        self, id: str, since: Position, whose: Whose, ended: Iterable[str] = ()
    ) -> list[Action]:
        """Let a connection hear what is for everybody and for its user, from ``since`` on.

        Where that is not known, it may be one of those whose access has ``ended``.
        """
        self._add(id, EVERYBODY, since)
        topics = [EVERYBODY]
        user, session = whose.user, whose.session
        if whose.bearer and not user:
            return self._connect_bearer(id, since, whose.bearer, ended)
        found = self._people.come(id, session) if session and not user else ""
        known = found or ""
        if known and not self._bind(id, known):
            return [End((id,))]
        if user or known:
            topics.append(user_topic(user or known))
            self._add(id, topics[-1], since)
        elif found is None:
            stranger = self._people.add(id, whose.key, session, since)
            last = self._log.topics.last_to_users
            if last is not None and since < last:
                self._suspect(stranger, since)
                self._people.ask(stranger)
            elif ended:
                self._people.ask(stranger)
        return self._replay(id, topics, since)

    def _connect_bearer(
        self, id: str, since: Position, token: str, ended: Iterable[str]
    ) -> list[Action]:
        stranger = self._bearers.add(id, token, since)
        self._bearers.ask(ended)
        users = self._log.topics.users_after(since)
        if users:
            self._suspect(stranger, since)
            self._bearers.ask(users)
            self._bearers.wait(stranger)
        # One that stands for all that nothing is known of any more.
        return self._replay(id, [EVERYBODY, user_topic("")], since)

    def ended(self, ending: Ending) -> None:
        """Forget whose sessions are of users whose access has ended, or may have.

        Whoever is not known may be one of those whose connections end.
        """
        self._people.forget(ending.sessions, (*ending.users, *ending.changed, *ending.doubtful))
        if ending.users:
            for stranger in self._people.strangers():
                self._people.ask(stranger)
            self._bearers.ask(ending.users)
            for unseen in self._unseen.values():
                unseen.ended += ending.users

    def disconnect(self, id: str) -> None:
        """Forget a connection."""
        for topic in self._followed.pop(id, ()):
            self._remove(id, topic)
        self._unseen.pop(id, None)
        self._people.discard(id)
        self._bearers.discard(id)

    def follow(self, id: str, topic: Topic, since: Position) -> list[Action]:
        """Let a connection hear what is sent to a topic, and what was after ``since``.

        Raises ``BadMessage`` where it follows too many.
        """
        self.check_room(id, topic)
        self._add(id, topic, since)
        return self._replay(id, [topic], since)

    def check_room(self, id: str, topic: Topic) -> None:
        """May a connection follow one more topic? Raises ``BadMessage`` where it may not."""
        followed = self._followed.get(id, {})
        # Everybody's, and its user's, it came with.
        own = sum(each.startswith((EVERYBODY, USERS)) for each in followed)
        if topic not in followed and len(followed) - own >= MAX_TOPICS:
            raise BadMessage(f"one connection may subscribe to {MAX_TOPICS} channels and routes")

    def leave(self, id: str, topic: Topic) -> bool:
        """Let a connection hear no more of a topic; did it follow it?"""
        followed = self._followed.get(id, {})
        if topic not in followed:
            return False
        del followed[topic]
        self._remove(id, topic)
        return True

    def is_subscribed(self, id: str) -> bool:
        """Does a connection follow anything beside what it came with?"""
        return any(not each.startswith((EVERYBODY, USERS)) for each in self._followed.get(id, ()))

    def tick(self, now: float) -> None:
        """Forget what is too old; ``now`` in seconds since the epoch."""
        self._log.topics.trim(self._log.at(now))
        self._people.tick(now)
        self._bearers.tick(now)

    # Messages

    def published(self, message: Message, now: float) -> tuple[Position, list[Action]]:
        """Log a message, and send it to all who follow one of its topics.

        ``now`` is in seconds since the epoch. Returns its position, and what to do.
        """
        before = self._log.head
        position = self._log.append(message, now)
        if self._log.topics.last_to_users == position:
            self._suspect_strangers(message.topics, before)
        ids = dict.fromkeys(
            id
            for topic in message.topics
            for id, since in self._followers.get(topic, {}).items()
            if since < position or since.epoch != position.epoch
        )
        at = min(message.at or now, now)
        return position, list(self._sends(ids, (position, message), message.topics[:1], at))

    def tell(self, channel: str, present: dict[str, Any], number: str) -> list[Action]:
        """Tell a channel's subscribers who is there: a state, which is not replayed.

        ``number`` tells this telling from others at the same place in the log.
        """
        topic = f"channel:{channel}"
        name = f"{self._log.head}.presence{number}"
        sends = self._sends(
            self._followers.get(topic, ()),
            (self._log.head, Message((topic,), PRESENCE, dump(present))),
            (topic,),
            None,
        )
        return [replace(each, meta={**each.meta, "id": name}) for each in sends]

    # Jobs

    def next_job(self) -> tuple[Asked, IdentifyJob] | tuple[Sought, UsersJob] | None:
        return self._people.next_job() or self._bearers.next_job()

    def answer(
        self, asked: Asked | Sought, result: IdentifyResult | UsersResult, now: float
    ) -> list[Action]:
        """Take the result of a job: who was a stranger gets what was for them."""
        try:
            if isinstance(asked, Sought):
                assert isinstance(result, UsersResult)
                known = self._bearers.answer(asked, result)
            else:
                assert isinstance(result, IdentifyResult)
                known = self._people.answer(asked, result)
        except BadMessage as error:
            return self.failed(asked, str(error), now)
        actions: list[Action] = []
        if result.error:
            actions.append(Report(f"the users of some connections are not known: {result.error}"))
        for stranger, user in known:
            actions += self._introduce(stranger, user)
        return actions

    def failed(self, asked: Asked | Sought, reason: str, now: float) -> list[Action]:
        """Take it that a job has no result; it is made again later."""
        if isinstance(asked, Sought):
            self._bearers.failed(now)
            return [Report(f"the tokens of {len(asked.users)} users are not known: {reason}")]
        self._people.failed(now)
        return [Report(f"the users of {len(asked.sessions)} sessions are not known: {reason}")]

    # Inside

    def _suspect_strangers(self, topics: tuple[Topic, ...], since: Position) -> None:
        """What was sent to the topics of users after ``since`` may be for strangers."""
        for stranger in self._people.strangers():
            if stranger.since is None:
                self._suspect(stranger, _later(since, stranger.came))
                self._people.ask(stranger)
        self._bearers.ask(topic.removeprefix(USERS) for topic in topics)
        for stranger in self._bearers.strangers():
            self._suspect(stranger, _later(since, stranger.came))
            self._bearers.wait(stranger)

    def _suspect(self, stranger: Stranger, since: Position) -> None:
        """Hold a stranger's safe position where there may be messages for it."""
        connection = self._registry.get(stranger.id)
        if stranger.since is None and connection is not None:
            stranger.since = since
            stranger.ticket = connection.floors.hold(since)

    def _settle(self, stranger: Stranger) -> Position | None:
        """Hold a stranger's safe position no longer; returns where its messages begin, if any."""
        since, ticket = stranger.since, stranger.ticket
        stranger.since = stranger.ticket = None
        connection = self._registry.get(stranger.id)
        if connection is not None and ticket is not None:
            connection.floors.release(ticket)
        return since

    def _introduce(self, stranger: Stranger, user: str) -> Iterator[Action]:
        """A stranger is this user, or with "" nobody for whom there was anything."""
        since = self._settle(stranger)
        if self._registry.get(stranger.id) is None:
            return
        if user and not self._bind(stranger.id, user):
            yield End((stranger.id,))
        elif user:
            self._add(stranger.id, user_topic(user), since or stranger.came)
            if since is not None:
                yield from self._replay(stranger.id, [user_topic(user)], since)

    def _add(self, id: str, topic: Topic, since: Position) -> None:
        self._followers.setdefault(topic, {})[id] = self._log.hears_from(since)
        self._followed.setdefault(id, {})[topic] = None

    def _remove(self, id: str, topic: Topic) -> None:
        followers = self._followers.get(topic, {})
        followers.pop(id, None)
        if not followers:
            self._followers.pop(topic, None)

    def _replay(self, id: str, topics: list[Topic], since: Position) -> list[Action]:
        """What was sent to any of the topics after ``since``, in order; else a refresh."""
        if since.epoch == self._log.epoch:
            since = min(since, self._log.head)
        if not all(self._log.covers_topic(topic, since) for topic in topics):
            place = place_of(topics[0]) if len(topics) == 1 else {}
            return [Refresh((id,), "history", place)]
        kept = [(topic, each) for topic in topics for each in self._log.topics.since(topic, since)]
        if sum(len(message.data) + OVERHEAD for _, (_, message) in kept) > self._most:
            # Whoever got it at once would be closed as a slow client, again and again.
            return [Refresh((id,), "history", place_of(topics[0]) if len(topics) == 1 else {})]
        kept.sort(key=lambda one: one[1][0])
        return [send for topic, each in kept for send in self._sends([id], each, (topic,), None)]

    def _sends(
        self, ids: Iterable[str], kept: Kept, topics: tuple[Topic, ...], at: float | None
    ) -> Iterator[Send]:
        """One send for all connections that get exactly the same."""
        position, message = kept
        unsettled = self._unsettled()
        alike: dict[Position, list[str]] = {}
        for id in ids:
            connection = self._registry.get(id)
            if connection is not None:
                safe = connection.reach(min(connection.safe(unsettled), position))
                alike.setdefault(safe, []).append(id)
        place = place_of(topics[0]) if topics else {}
        for safe, those in alike.items():
            meta = {"id": message.name or str(position), "safe": str(safe), **place}
            yield Send(tuple(those), message.event, message.data, meta, at)


def _later(position: Position, other: Position) -> Position:
    """The later one; ``position`` where the other is of another life of the log."""
    return max(position, other) if position.epoch == other.epoch else position
