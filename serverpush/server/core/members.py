"""Members: pages that are subscribed to channels, here and by other push servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from serverpush.exceptions import BadMessage
from serverpush.messages import channel_topic
from serverpush.protocol import Page, Visitor

# A page is known again by its tab and its session.
Key = tuple[str, str]


@dataclass(slots=True)
class Member:
    """A page that is subscribed, by one connection or, for a moment, by none."""

    user: str
    name: str
    page: Page
    visitor: Visitor
    ids: set[str] = field(default_factory=set)


Place = tuple[str, Key]
"""A channel, and a page in it."""


def row(place: Place, member: Member) -> list[Any]:
    """A member as JSON, without any secret."""
    channel, key = place
    return [channel, *key, member.user, member.name, member.page.to_json()]


def read(rows: Any) -> Iterator[tuple[Place, Member]]:
    """Members that were written by ``row``; raises ``BadMessage`` for what is none."""
    try:
        for channel, tab, session, user, name, page in rows:
            channel_topic(channel)
            member = Member(str(user), str(name), Page.from_json(page), Visitor())
            yield (channel, (str(tab), str(session))), member
    except (LookupError, TypeError, ValueError) as error:
        raise BadMessage(f"it can't be read ({type(error).__name__})") from error


class Elsewhere:
    """Who is subscribed by which push server, as the log that they share tells it.

    It tells so of this one, too; all have the same here when they have read as far.
    """

    def __init__(self) -> None:
        self._channels: dict[str, dict[Key, dict[str, Member]]] = {}
        self._servers: dict[str, dict[Place, None]] = {}

    @property
    def servers(self) -> list[str]:
        """The push servers by which somebody is subscribed."""
        return list(self._servers)

    def members(self, channel: str) -> dict[Key, Member]:
        """The pages in a channel, each once."""
        pages = self._channels.get(channel, {})
        return {key: next(iter(by.values())) for key, by in pages.items()}

    def member(self, place: Place) -> Member | None:
        by = self._channels.get(place[0], {}).get(place[1], {})
        return next(iter(by.values()), None)

    def add(self, server: str, place: Place, member: Member) -> None:
        """A page is subscribed by a server."""
        channel, key = place
        self._channels.setdefault(channel, {}).setdefault(key, {})[server] = member
        self._servers.setdefault(server, {})[place] = None

    def remove(self, server: str, place: Place) -> Member | None:
        """It is no more; the page, where that was the last server by which it was."""
        places = self._servers.get(server, {})
        if place not in places:
            return None
        del places[place]
        if not places:
            del self._servers[server]
        channel, key = place
        pages = self._channels[channel]
        member = pages[key].pop(server)
        if pages[key]:
            return None
        del pages[key]
        if not pages:
            del self._channels[channel]
        return member

    def places(self, server: str) -> list[Place]:
        """All pages that are subscribed by a server, by channel."""
        return list(self._servers.get(server, ()))

    def clear(self) -> None:
        self._channels.clear()
        self._servers.clear()
