"""What connections are owed: one update about one instance, not yet sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from serverpush.protocol import Dependency, Key, PageAction
from serverpush.server.core.cohorts import Audience, Cohort, One
from serverpush.server.core.connection import Connection
from serverpush.server.core.steps import Step
from serverpush.server.core.watched import Watched

Slot = tuple[Connection | Cohort, str]


@dataclass(slots=True, eq=False)
class Owed:
    """One update that a connection, or an audience of a cohort, has coming.

    ``before`` and ``after`` say whether the instance met the condition when the
    client was last told, and now; ``before`` is None where nobody knows, and in
    ``doubt`` where the change may have come while the page was rendered, or the
    client may have been told of it already.
    ``mark`` tells a page's several updates apart, whatever else it comes to have.
    Whoever it is for, their safe positions are held back until this is sent.
    """

    to: One | Audience
    mark: str
    dependency: Dependency
    watched: Watched
    pk: Key
    step: Step
    before: bool | None
    after: bool
    doubt: bool

    @classmethod
    def at(
        cls,
        connection: Connection,
        place: int,
        pk: Key,
        step: Step,
        before: bool | None,
        after: bool,
        doubt: bool = False,
    ) -> Owed:
        """What the update at this place of the connection's page is owed."""
        return cls(
            to=One(connection),
            mark=connection.marks[place],
            dependency=connection.page.dependencies[place],
            watched=connection.watched[place],
            pk=pk,
            step=step,
            before=before,
            after=after,
            doubt=doubt or connection.may_show(step.at),
        )

    @classmethod
    def together(
        cls,
        cohort: Cohort,
        out: Iterable[Connection],
        place: int,
        pk: Key,
        step: Step,
        before: bool | None,
        after: bool,
    ) -> Owed:
        """What a cohort is owed, but for those in ``out``: none of the others is in doubt."""
        to = Audience(cohort, out)
        first = next(iter(to))
        return replace(cls.at(first, place, pk, step, before, after), to=to, doubt=False)

    @property
    def slot(self) -> Slot:
        """Where it waits: one update of one connection, or of one cohort, waits once."""
        whose = self.to.cohort if isinstance(self.to, Audience) else self.to.connection
        return whose, self.mark

    @property
    def first(self) -> Connection | None:
        """The first of those who still wait for it; None where nobody does."""
        return next((each for each in self.to if each.is_due), None)

    @property
    def connections(self) -> list[Connection]:
        """Those who still wait for it."""
        return [each for each in self.to if not each.closed and not each.overdue]

    def apart(self, connection: Connection) -> Owed:
        """The same for one of them alone, who is owed it by itself from now on."""
        alone = replace(self, to=One(connection))
        if self.to.is_held:
            alone.hold()
        self.to.take_out(connection)
        return alone

    @property
    def action(self) -> PageAction | None:
        """The page's word for it; None where the page has nothing to be told.

        Where ``before`` is not certain the update gets the nearest word that it
        asks for: too much is a rendering, too little is a stale page.
        """
        on = self.dependency.on
        doubt = self.doubt or self.before is None
        was = self.before if self.before is not None else self.step.first != "created"
        if not self.after:
            # A creation may be reported after the page that shows it was rendered;
            # where members are listed, the page's own list has told.
            shown = was or doubt or self.watched.members is None
            return "removed" if shown and "removed" in on else None
        action: PageAction = "changed" if was else "added"
        if action in on:
            return action
        other: PageAction = "added" if was else "changed"
        return other if doubt and other in on else None

    def fold(self, other: Owed, *, same_instance: bool) -> None:
        """Take another change in: the client will be told of both at once."""
        is_later = other.step.position >= self.step.position
        if not same_instance:
            # Of a page as a whole the later one says what it is about.
            if is_later:
                self.before, self.pk, self.after = other.before, other.pk, other.after
        elif other.step.floor < self.step.floor:
            # A replayed change comes after a live one: it knows what the client had when it
            # came back, but not what it has been told since.
            self.doubt = self.doubt or self.before != other.before
            self.before = other.before
        # Either may have come while the page was rendered, and be what it shows.
        self.doubt = self.doubt or other.doubt
        floor = self.step.floor
        if is_later:
            self.after = other.after
        self.step = self.step.join(other.step)
        if self.step.floor < floor:
            self.to.move(self.step.floor)

    def hold(self) -> None:
        self.to.hold(self.step.floor)

    def release(self) -> None:
        self.to.release()
