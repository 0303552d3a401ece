"""A connection: one client, its page, and how far it has been brought."""

from __future__ import annotations

from dataclasses import dataclass, field

from serverpush.protocol import Dependency, Page, Position, Visitor
from serverpush.server.core.cohorts import Audience, Cohort
from serverpush.server.core.floors import Floors
from serverpush.server.core.profiles import Sources
from serverpush.server.core.told import Told
from serverpush.server.core.watched import Watched

# Sets of sources for which it is kept what a connection's request has there.
MAX_KNOWN = 16

Group = tuple[object, ...]
Values = tuple[object, ...]


@dataclass(slots=True, eq=False)
class Connection:
    """One client and its page.

    It is in a ``cohort`` with those who follow the same, under a ``serial`` number; the
    audiences of earlier ones that it is still owed something with are ``past``. ``floors``
    holds the position before each change that it alone has not been sent yet. One that is
    ``overdue`` had too much coming: it is told to refresh, and gets messages, but no
    updates until that is gone. ``told`` is what was sent to it by itself.
    """

    id: str
    page: Page
    visitor: Visitor
    cohort: Cohort | None = None
    serial: int = 0
    past: list[Audience] = field(default_factory=list)
    floors: Floors = field(default_factory=Floors)
    told: Told | None = None
    closed: bool = False
    overdue: bool = False
    # The latest position that it was told to be safe, or came with.
    reached: Position | None = None
    # Seconds by which the clocks of the site's machines may differ.
    margin: float = 0
    # Of the page that it came with: what a view reads that ran again is for ``Glimpses``.
    doubtful_until: float = field(init=False)
    _own: Group | None = None
    _values: dict[Sources, Values] = field(default_factory=dict)
    _cookies: dict[str, list[str]] | None = None

    def __post_init__(self) -> None:
        self.doubtful_until = self.page.recorded + self.margin

    @property
    def watched(self) -> list[Watched]:
        """The conditions that it follows, beside ``page.dependencies``, place by place."""
        return [] if self.cohort is None else self.cohort.watched

    @property
    def marks(self) -> list[str]:
        """What tells its updates apart, place by place."""
        return [] if self.cohort is None else self.cohort.marks

    @property
    def is_due(self) -> bool:
        """Does it wait for updates?"""
        return not self.closed and not self.overdue

    @property
    def owed(self) -> int:
        """How much it has coming."""
        together = 0 if self.cohort is None else self.cohort.owed(self)
        return len(self.floors) + together + sum(each.is_held for each in self.past)

    def may_show(self, at: float) -> bool:
        """May a change committed at this time have come while the page was rendered?

        Then nobody knows on which side of it the view read, and on which side
        the page's instances were listed.
        """
        return at <= self.doubtful_until

    def safe(self, unsettled: Position) -> Position:
        """The position up to which it has been sent everything.

        ``unsettled`` is the one up to which it is known whom each change affects.
        """
        floors = [unsettled, *(each.floor for each in self.past if each.is_held)]
        if (own := self.floors.lowest()) is not None:
            floors.append(own)
        if self.cohort is not None and (held := self.cohort.lowest(self)) is not None:
            floors.append(held)
        return min(floors)

    def reach(self, safe: Position) -> Position:
        """The position to tell it that it is safe at, which never goes back.

        A doubt about what a view has read may hold it at a place before what it was told, for the
        sake of others of its cohort. The changes that are in doubt come after what it was told,
        or were over before its page was there: what it was told stays true.
        """
        reached = self.reached
        # Comparing whole positions takes long, and mostly their times tell.
        if (
            reached is None
            or safe.time > reached.time
            or safe >= reached
            # Of two lives of a log the later may have the earlier times.
            or safe.epoch != reached.epoch
        ):
            self.reached = safe
            return safe
        return reached

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
            if len(self._values) >= MAX_KNOWN:
                self._values.clear()
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

    @property
    def common(self) -> Group:
        """What all its updates depend on in any case."""
        page = self.page
        common = (*self._site(), page.session, page.user)
        if any(each.vary is not None for each in page.dependencies):
            return (*common, *self._address())
        return common

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
