"""Presence: which pages are subscribed to a channel, over their reconnects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from serverpush.jobs import SubscribeJob
from serverpush.messages import Topic
from serverpush.server.core.members import Elsewhere, Key, Member, Place, read, row
from serverpush.server.core.order import Order
from serverpush.server.core.waits import is_over

# Seconds in which a page that lost its connection may come back as the one it was. The
# page's script does within four, once the server is there.
GRACE = 15.0
# The same where it said goodbye: it was closed, most likely, or left by a link.
LEFT = 3.0
# Users that are named; of the others only the number is told.
MAX_NAMED = 200


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A page has left a channel, or come to it; the project hears of it, and is not asked."""

    channel: str
    key: Key
    member: Member
    signal: Literal["subscribe", "unsubscribe"] = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Parting:
    """A page that left, and the number under which the others are told so."""

    member: Member
    number: int


class Presence:
    """The members of channels.

    Arguments:
        tells: does this channel tell its subscribers who is there?
        listens: does the project want to hear who comes and goes?
        server: the name of this push server among others; "" where it is the only one.

    Of several, each tells the others who is subscribed by it (``share``), and hears itself,
    too (``hear``). So they all know who was the last by whom a page was subscribed: it lets
    the project hear that the page has left.

    ``order`` is for who comes and goes, by channel and page: the project hears of each
    after it has heard of the one before.
    """

    def __init__(
        self, tells: Callable[[str], bool], listens: Callable[[], bool], server: str = ""
    ) -> None:
        self._tells = tells
        self._listens = listens
        self._server = server
        self.elsewhere = Elsewhere()
        # What the others have not been told: who came, and who left (None).
        self._unshared: dict[Place, Member | None] = {}
        # Those who left, until this server has heard itself say so.
        self._parting: dict[Place, Parting] = {}
        self._partings = 0
        # Those who came without a word to the project, for another server had them; until this
        # one has heard itself say that they came.
        self._silent: set[Place] = set()
        self._members: dict[str, dict[Key, Member]] = {}
        # By connection: the channels, and as whom.
        self._channels: dict[str, tuple[Key, dict[str, None]]] = {}
        # When those without a connection are taken for gone, in seconds since the epoch.
        self._lingering: dict[tuple[str, Key], float] = {}
        self.order: Order[tuple[str, Key]] = Order()
        self._untold: dict[Move, None] = {}
        # Those of them whose turn it is.
        self._due: deque[Move] = deque()
        self._changed: dict[str, None] = {}
        # What ``present`` gave, until it is another.
        self._present: dict[str, dict[str, Any]] = {}

    def matters(self, channel: str) -> bool:
        """Does anybody want to know who is subscribed to this channel?"""
        return self._listens() or self._tells(channel)

    def tells(self, channel: str) -> bool:
        """Does this channel tell its subscribers who is there?"""
        return self._tells(channel)

    def member(self, channel: str, key: Key) -> Member | None:
        """The page that is subscribed, or was a moment ago; None where there is none."""
        place = (channel, key)
        return self._own(place) or self.elsewhere.member(place)

    def join(
        self, channel: str, key: Key, id: str, member: Member, *, is_silent: bool = False
    ) -> None:
        """Note that a page is subscribed by a connection; the project has heard of it or not."""
        members = self._members.setdefault(channel, {})
        known = members.setdefault(key, member)
        if known is member:
            self._note_changed(channel)
            if self._server:
                self._note_come((channel, key), is_silent)
            self._share((channel, key), member)
        known.ids.add(id)
        known.page, known.visitor = member.page, member.visitor
        self._lingering.pop((channel, key), None)
        self._channels.setdefault(id, (key, {}))[1][channel] = None

    def leave(self, channel: str, id: str) -> None:
        """Note that a connection is no longer subscribed, by its own will."""
        key, channels = self._channels.get(id, (("", ""), {}))
        if channel not in channels:
            return
        del channels[channel]
        if self._without(channel, key, id):
            self._remove(channel, key)

    def disconnect(self, id: str, now: float, *, said_goodbye: bool = False) -> None:
        """Note that a connection is gone; its page may come back. ``now`` in seconds."""
        until = now + (LEFT if said_goodbye else GRACE)
        key, channels = self._channels.pop(id, (("", ""), {}))
        for channel in channels:
            if self._without(channel, key, id):
                self._lingering[channel, key] = until

    def tick(self, now: float) -> None:
        """Let those be gone who did not come back. ``now`` in seconds since the epoch."""
        for place in [e for e, until in self._lingering.items() if is_over(until, GRACE, now)]:
            # Unless one is coming back right now.
            if place not in self.order:
                self._remove(*place)

    def changed(self) -> list[str]:
        """The channels that tell who is there, and where that has changed since the last call."""
        found = [each for each in self._changed if self._tells(each)]
        self._changed.clear()
        return found

    def present(self, channel: str) -> dict[str, Any]:
        """Who is subscribed: users, each once, and how many pages of nobody.

        ``{"users": [{"id", "name"}], "visitors": 2, "total": 3}``, ``total`` being all users
        and visitors where there are too many users to name. Not to be modified.
        """
        there, here = self.elsewhere.members(channel), self._members.get(channel, {})
        if not there and not here:
            return _summary(())
        if channel not in self._present:
            self._present[channel] = _summary({**there, **here}.values())
        return self._present[channel]

    def next_job(self) -> tuple[Move, SubscribeJob] | None:
        """The next that the project has to hear."""
        if not self._due:
            return None
        move = self._due.popleft()
        member = move.member
        # Whose session it is its cookie says, where that has not ended meanwhile.
        has_session = move.signal == "subscribe" and bool(move.key[1])
        user = "" if has_session else member.user
        job = SubscribeJob(move.channel, member.page, member.visitor, user, signal=move.signal)
        return move, job

    def part(self, channel: str, key: Key, member: Member) -> None:
        """Let the project hear that a page has left."""
        self._tell(Move(channel, key, member))

    def told(self, move: Move) -> None:
        """Take it that the project has heard it, as far as it can."""
        self._untold.pop(move, None)
        self.order.leave((move.channel, move.key), move)

    def stop(self) -> None:
        """Tell of no more that leave: they are left for the next start, or another server."""
        self._due.clear()
        # Who finds this server gone tells of all who were subscribed by it.
        for place, parting in self._parting.items():
            self._share(place, parting.member)
        for each in self._untold:
            # Who has come without a word comes anew to another server.
            left = each.signal == "unsubscribe"
            self._share((each.channel, each.key), each.member if left else None)

    def _tell(self, move: Move) -> None:
        if self._listens():
            self._untold[move] = None
            self.order.enter((move.channel, move.key), move, lambda: self._due.append(move))

    def _note_changed(self, channel: str) -> None:
        self._changed[channel] = None
        self._present.pop(channel, None)

    def _without(self, channel: str, key: Key, id: str) -> bool:
        """Is nobody left of a page after this connection?"""
        member = self._members.get(channel, {}).get(key)
        if member is None:
            return False
        member.ids.discard(id)
        return not member.ids

    def _remove(self, channel: str, key: Key) -> None:
        members = self._members.get(channel, {})
        member = members.pop(key, None)
        if not members:
            self._members.pop(channel, None)
        if member is None:
            return
        self._lingering.pop((channel, key), None)
        self._note_changed(channel)
        if self._server:
            self._share((channel, key), None)
            self._partings += 1
            self._parting[channel, key] = Parting(member, self._partings)
        else:
            self.part(channel, key, member)

    # Beside other push servers

    def share(self) -> tuple[list[list[Any]], list[list[Any]]]:
        """Who came and who left since the last call, for all servers to ``hear``."""
        unshared, self._unshared = self._unshared, {}
        joined = [row(place, member) for place, member in unshared.items() if member is not None]
        left = [
            [place[0], *place[1], self._parting[place].number if place in self._parting else 0]
            for place, member in unshared.items()
            if member is None
        ]
        return joined, left

    def share_all(self) -> None:
        """Let the others be told again of all who are subscribed by this server."""
        for channel, members in self._members.items():
            for key, member in members.items():
                self._share((channel, key), member)

    def hear(self, server: str, joined: Any, left: Any) -> None:
        """A server says who is subscribed by it; raises ``BadMessage`` for what can't be read."""
        for place, member in read(joined):
            was_there = self.elsewhere.member(place) is not None
            self.elsewhere.add(server, place, member)
            self._note_changed(place[0])
            if server == self._server:
                self._hear_joined(place, was_there)
        for channel, tab, session, number in left:
            place = (channel, (tab, session))
            parting = self._parting.get(place)
            if server == self._server and (parting is None or parting.number != number):
                self._hear_left_before(place)
            else:
                self._hear_left(server, place, server)

    def lose(self, server: str, by: str) -> None:
        """A server is no more, says another: nobody is subscribed by it."""
        told = self.elsewhere.places(server)
        for place in told:
            self._hear_left(server, place, by)
        if server == self._server:
            # Of those who came since nobody has said that they left.
            self._silent.update(each for each in told if self._is_here(each))
            self.share_all()

    def forget_others(self) -> None:
        """Nobody knows what the others have said; who is subscribed here is told again."""
        for place in self._places():
            self._note_changed(place[0])
        self.elsewhere.clear()
        self._silent.clear()
        self.share_all()
        for place in self._parting:
            self._share(place, None)

    def may_be_given_up(self) -> None:
        """Others have said that this server is no more, or may have: that its pages have left."""
        self._silent.update(
            (channel, key) for channel, members in self._members.items() for key in members
        )

    def _hear_joined(self, place: Place, was_there: bool) -> None:
        """This server says that a page came; the first one that has it tells the project."""
        channel, key = place
        # One that has left meanwhile will be told to have left.
        member = self._own(place)
        if place in self._silent and not was_there and member is not None:
            self._tell(Move(channel, key, member, "subscribe"))
        self._silent.discard(place)

    def _hear_left(self, server: str, place: Place, by: str) -> None:
        """A page is no longer subscribed by a server, says one, which tells the project."""
        member = self.elsewhere.remove(server, place)
        self._note_changed(place[0])
        parting = self._parting.pop(place, None) if server == self._server else None
        own = parting.member if parting is not None else None
        is_here = self._is_here(place)
        # Where nobody knows what was said before, it was subscribed at least by this one; unless
        # the project has been told that it left, and not that it came again.
        is_known = place not in self._silent
        was_last = member or (own if self.elsewhere.member(place) is None and is_known else None)
        if own is not None and not is_here:
            self._silent.discard(place)
        if was_last is None or by != self._server:
            return
        if is_here:
            # Nobody has told that it left: it need not be told that it came.
            self._silent.discard(place)
        else:
            self.part(*place, own or was_last)

    def _hear_left_before(self, place: Place) -> None:
        """This server says that a page left, which was back since, or has been heard of before."""
        was_last = self.elsewhere.remove(self._server, place)
        self._note_changed(place[0])
        if was_last is not None and self._is_here(place):
            # Nobody has told that it left: it need not be told that it came.
            self._silent.discard(place)
        elif self._own(place) is not None and self.elsewhere.member(place) is not None:
            # Another server that has it may let the project hear that it left.
            self._silent.add(place)

    def _note_come(self, place: Place, is_silent: bool) -> None:
        # One that is back before this server has heard that it left has not left.
        if self._parting.pop(place, None) is None and is_silent:
            self._silent.add(place)

    def _own(self, place: Place) -> Member | None:
        """A page that is subscribed by this server, or was until a moment ago."""
        parting = self._parting.get(place)
        here = self._members.get(place[0], {}).get(place[1])
        return here or (parting.member if parting is not None else None)

    def _is_here(self, place: Place) -> bool:
        return place[1] in self._members.get(place[0], {})

    def _share(self, place: Place, member: Member | None) -> None:
        if self._server:
            # In the order in which it happened.
            self._unshared.pop(place, None)
            self._unshared[place] = member

    def _places(self) -> Iterable[Place]:
        for server in self.elsewhere.servers:
            yield from self.elsewhere.places(server)

    # For the next start of the server

    def dump(self) -> list[list[Any]]:
        """Who is there, without any secret: as far as a page can be known again."""
        return [
            row((channel, key), member)
            for channel, members in self._members.items()
            for key, member in members.items()
        ]

    def dump_untold(self) -> list[list[Any]]:
        """Of whose leaving the project has not heard yet; in the form of ``dump``."""
        return [row((each.channel, each.key), each.member) for each in self._untold]

    def load(self, value: Any, now: float) -> None:
        """Expect those to come back who were there; raises ``BadMessage`` for what is no dump."""
        for (channel, key), member in read(value):
            self._members.setdefault(channel, {})[key] = member
            self._lingering[channel, key] = now + GRACE
            self._present.pop(channel, None)

    def load_untold(self, value: Any) -> None:
        """Tell of those whose leaving was not told; raises ``BadMessage`` for what is no dump."""
        for (channel, key), member in read(value):
            self.part(channel, key, member)


def _summary(members: Collection[Member]) -> dict[str, Any]:
    users = {each.user: each.name for each in members if each.user}
    visitors = sum(not each.user for each in members)
    named = sorted(users.items(), key=lambda one: (one[1].casefold(), one[0]))[:MAX_NAMED]
    return {
        "users": [{"id": user, "name": name} for user, name in named],
        "visitors": visitors,
        "total": len(users) + visitors,
    }


def channel_of(topic: Topic) -> str:
    """The channel's id where a topic is one, else an empty text."""
    kind, _, name = topic.partition(":")
    return name if kind == "channel" else ""
