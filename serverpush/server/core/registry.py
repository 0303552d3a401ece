"""The registry: the connections, their pages, and how far each has been brought."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from serverpush.protocol import Dependency, Page, Position, Visitor
from serverpush.server.core.index import YOUNG_SECONDS, Watched
from serverpush.server.core.profiles import Sources

Group = tuple[object, ...]
Values = tuple[object, ...]


class Floors:
    """The lowest of a changing set of positions."""

    def __init__(self) -> None:
        self._heap: list[tuple[Position, int]] = []
        self._held: dict[int, Position] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, floor: Position) -> int:
        """Add a position; the ticket that is returned takes it out again."""
        self._count += 1
        self._held[self._count] = floor
        heapq.heappush(self._heap, (floor, self._count))
        return self._count

    def release(self, ticket: int) -> None:
        self._held.pop(ticket, None)
        if len(self._heap) > 2 * len(self._held) + 16:
            self._heap = [(floor, number) for number, floor in self._held.items()]
            heapq.heapify(self._heap)

    def lowest(self) -> Position | None:
        while self._heap and self._heap[0][1] not in self._held:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None


@dataclass(slots=True, eq=False)
class Connection:
    """One client and its page.

    ``watched`` and ``marks``, which tell its updates apart, stand beside
    ``page.dependencies``, place by place. ``floors`` holds the position before each
    change that it has not been sent yet. One that is ``overdue`` had too much coming:
    it is told to refresh, and gets messages, but no updates until that is gone.
    """

    id: str
    page: Page
    visitor: Visitor
    watched: list[Watched] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    floors: Floors = field(default_factory=Floors)
    closed: bool = False
    overdue: bool = False
    # Seconds by which the clocks of the site's machines may differ.
    margin: float = 0
    _own: Group | None = None
    _values: dict[Sources, Values] = field(default_factory=dict)
    _cookies: dict[str, list[str]] | None = None

    def may_show(self, at: float) -> bool:
        """May a change committed at this time have come while the page was rendered?

        Then nobody knows on which side of it the view read, and on which side
        the page's instances were listed.
        """
        return at <= self.page.recorded + self.margin

    def safe(self, unsettled: Position) -> Position:
        """The position up to which it has been sent everything.

        ``unsettled`` is the one up to which it is known whom each change affects.
        """
        return min(self.floors.lowest() or unsettled, unsettled)

    def group(self, dependency: Dependency) -> Group:
        """What a rendering depends on in any case: others never share it."""
        if self.is_by_vary(dependency):
            # Who shares is for the author to say, but of one page: another has other
            # arguments, and a view that runs again other dependencies.
            return ("vary", dependency.vary, *self._site(), *self._address())
        # A page for one session is not for others to get, whatever is on it:
        # each rendering is where access is checked.
        return ("read", *self._site(), self.page.session, self.page.user)

    def is_by_vary(self, dependency: Dependency) -> bool:
        """Has the author said who shares an update?"""
        return dependency.vary is not None and not self._is_torn(dependency)

    def values(self, sources: Sources) -> Values:
        """What its request says to who reads these sources: who has the same there shares."""
        found = self._values.get(sources)
        if found is None:
            found = self._values[sources] = tuple(map(self._value, sorted(sources)))
        return found

    def _value(self, source: str) -> object:
        kind, _, name = source.partition(":")
        if kind == "cookie":
            return tuple(self._cookie(name))
        return {
            "path": (self.page.script, self.page.path),
            "query": self.page.query,
            "address": self.visitor.address,
            "cookies": self.visitor.cookie,
            "header:accept-language": self.visitor.accept_language,
            "header:user-agent": self.visitor.user_agent,
        }[source]

    def _cookie(self, name: str) -> list[str]:
        """All that is sent under a name: however it is read, equal texts give equal values."""
        if self._cookies is None:
            self._cookies = {}
            for each in _text(self.visitor.cookie).split(";"):
                key, equals, value = each.partition("=")
                # One without a name has "" for it.
                key, value = (key, value) if equals else ("", key)
                self._cookies.setdefault(key.strip(), []).append(value.strip())
        return self._cookies.get(name, [])

    @property
    def own(self) -> Group:
        """What a rendering depends on that may read all of the request."""
        if self._own is None:
            own = ("own", *self._site(), *self._address(), self.page.user, self.visitor)
            self._own = own
        return self._own

    def _is_torn(self, dependency: Dependency) -> bool:
        """Has the page the same view for another update, which others share?

        Then it would be made anew twice at once, by each of those.
        """
        serializer, vary = dependency.serializer, dependency.vary
        if serializer.reads_object:
            return False
        return any(
            each.serializer == serializer and each.vary != vary for each in self.page.dependencies
        )

    def _site(self) -> Group:
        """What a manager, a router or a tag may read without a request: sites go by their host."""
        page = self.page
        return page.host, page.secure, page.script, page.language, page.zone

    def _address(self) -> Group:
        return self.page.script, self.page.path, self.page.query


def _text(header: str) -> str:
    """What Django takes apart: the characters of a header are its bytes, and those UTF-8."""
    try:
        sent = header.encode("iso-8859-1")
    except UnicodeEncodeError:
        sent = header.encode("utf-8", "surrogatepass")
    return sent.decode("utf-8", "replace")


class Registry:
    """The connections by id."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._young: dict[str, Connection] = {}
        # Where the log stood when each was last told where it stands, oldest first.
        self._told: OrderedDict[str, Position] = OrderedDict()

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._connections.values())

    def add(self, connection: Connection, head: Position) -> None:
        """Register a connection; ``head`` is where the log stands."""
        self._connections[connection.id] = connection
        self._young[connection.id] = connection
        self._told[connection.id] = head

    def behind(self, place: Position, head: Position, most: int) -> list[Connection]:
        """At most so many of those last told before ``place``; they count as told now."""
        found: list[Connection] = []
        while self._told and len(found) < most:
            id, told = next(iter(self._told.items()))
            if told >= place:
                break
            self._told[id] = head
            self._told.move_to_end(id)
            found.append(self._connections[id])
        return found

    def may_show(self, at: float, now: float) -> list[Connection]:
        """The connections whose pages may have been rendered around a commit at ``at``.

        Both in seconds since the epoch, ``now`` being when it was reported.
        """
        if now - at > YOUNG_SECONDS:
            return [each for each in self if each.may_show(at)]
        for each in list(self._young.values()):
            if each.page.recorded + each.margin < now - YOUNG_SECONDS:
                del self._young[each.id]
        return [each for each in self._young.values() if each.may_show(at)]

    def get(self, id: str) -> Connection | None:
        return self._connections.get(id)

    def pop(self, id: str) -> Connection | None:
        connection = self._connections.pop(id, None)
        self._young.pop(id, None)
        self._told.pop(id, None)
        if connection is not None:
            connection.closed = True
        return connection
