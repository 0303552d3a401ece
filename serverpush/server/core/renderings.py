"""Renderings: what waits to be rendered, each distinct one once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from serverpush.jobs import RenderJob
from serverpush.protocol import Key, Position, Serializer
from serverpush.server.core.cohorts import Audience
from serverpush.server.core.connection import Connection, Group, Values
from serverpush.server.core.fair import FairQueue, Flow
from serverpush.server.core.owed import Owed
from serverpush.server.core.profiles import Profiles, Sources
from serverpush.server.core.waiting import Waiting

RenderKey = tuple[str, str, Serializer, str, Key | None, Group]


@dataclass(slots=True, eq=False)
class Run:
    """A rendering under way: whom it is for, where the log stood, whose request it is.

    ``reads`` is what it is expected to read of the request: all that it is for have the
    same there. ``present`` is False where the instance stopped matching. One that
    ``has_died`` ends without a result.
    """

    key: RenderKey
    part: _Part
    reads: Sources
    owed: list[Owed]
    started: Position
    lead: Connection
    present: bool
    has_died: bool = False

    @property
    def serializer(self) -> Serializer:
        return self.key[2]

    @property
    def is_of_instance(self) -> bool:
        """Does it take one instance, and not the page as a whole?"""
        return self.key[4] is not None

    @property
    def is_by_vary(self) -> bool:
        """Has its author said who shares it?"""
        return _is_by_vary(self.key)

    @property
    def connections(self) -> Iterator[Connection]:
        return (connection for each in self.owed for connection in each.to)


@dataclass(slots=True, eq=False)
class _Part:
    """Those of a rendering who get the same from one run, as far as is known.

    ``is_blocked`` where a run that began when less was known is for some of them.
    """

    values: Values
    flow: Flow
    waiting: Waiting
    is_running: bool = False
    is_blocked: bool = False

    def __bool__(self) -> bool:
        return bool(self.waiting) or self.is_running


@dataclass(slots=True, eq=False)
class _Rendering:
    """One update of one instance, in parts.

    ``runs`` are those under way, and ``busy`` whom those of them are for that began
    under another profile.
    """

    key: RenderKey
    reads: Sources
    parts: dict[Values, _Part] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    busy: set[Connection] = field(default_factory=set)
    # Did the last one end without a result?
    has_died: bool = False

    def part(self, connection: Connection) -> _Part:
        """The part that a connection gets it with."""
        values = () if _is_by_vary(self.key) else connection.values(self.reads)
        part = self.parts.get(values)
        if part is None:
            # One that is shared by several pages takes the turns of the first.
            flow = (self.key[:3], connection.page.path, self.key[4])
            waiting = Waiting(same_instance=self.key[4] is not None)
            part = self.parts[values] = _Part(values, flow, waiting)
        return part

    def is_busy(self, part: _Part) -> bool:
        """Is something under way for one of those that a part is for?"""
        if not self.busy:
            return False
        return any(not self.busy.isdisjoint(each.to) for each in part.waiting)


class Renderings:
    """The queue of distinct renderings.

    Updates take turns, within them the pages, within these the instances: a
    page that has thousands of renderings coming does not keep back another's.
    While one waits, further changes fold into it; while it runs, they wait for
    one more run. None runs twice at once for one client, so each gets the
    states of an instance in their order.

    Who shares one is found out: a run tells what it read of its request, and serves
    those who have the same there. The others wait for runs of their own, and next time
    are known beforehand.
    """

    def __init__(self) -> None:
        self._renderings: dict[RenderKey, _Rendering] = {}
        self._queue: FairQueue[tuple[RenderKey, Values]] = FairQueue()
        self._profiles = Profiles()
        # In the order in which they began.
        self._under_way: dict[Run, None] = {}

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def oldest(self) -> Position | None:
        """Where the log stood when the longest of those under way began, if one is."""
        return next((each.started for each in self._under_way), None)

    def owe(self, owed: Owed) -> None:
        """Note that connections have something coming, or no longer have."""
        first = owed.first
        if first is None:
            owed.release()
            return
        rendering = self._rendering(_key(owed, first))
        parts: dict[Values, _Part] = {}
        for each in _divided(rendering, owed):
            if (one := next(iter(each.to), None)) is None:
                each.release()
                continue
            part = rendering.part(one)
            part.waiting.add(each)
            part.is_blocked = part.is_blocked or (
                bool(rendering.busy) and not rendering.busy.isdisjoint(each.to)
            )
            parts[part.values] = part
        # Not before all have been added: one that has no part any more is forgotten.
        for part in parts.values():
            self._tidy(rendering, part)

    def next(self, head: Position) -> tuple[Run, RenderJob] | None:
        """Begin the rendering whose turn it is; ``head`` is where the log stands."""
        while (found := self._queue.next()) is not None:
            key, values = found
            rendering = self._renderings[key]
            part = rendering.parts[values]
            present, waiting = part.waiting.take()
            owed = list(_due(waiting))
            if owed and (lead := owed[0].first) is not None:
                part.is_running = True
                run = Run(key, part, rendering.reads, owed, head, lead, present)
                rendering.runs.append(run)
                self._under_way[run] = None
                return run, _job(run)
            self._tidy(rendering, part)
        return None

    def finish(self, run: Run) -> list[Owed]:
        """End a run; returns what it was for, as far as the connections are still there."""
        rendering = self._renderings[run.key]
        rendering.runs.remove(run)
        del self._under_way[run]
        rendering.has_died = run.has_died
        run.part.is_running = False
        if rendering.busy:
            self._unblock(rendering)
        self._tidy(rendering, run.part)
        return list(_due(run.owed))

    def died(self, run: Run) -> bool:
        """Note that a run ends without a result; returns whether the one before it did, too."""
        run.has_died = True
        return self._renderings[run.key].has_died

    def share(self, run: Run, owed: list[Owed], reads: Sources) -> list[Owed]:
        """Whom the result of a run is for, having read this; the others are owed it still."""
        if reads <= run.reads or run.is_by_vary:
            return owed
        values = run.lead.values(reads)
        for each in owed:
            for one in each.to.unlike(values, reads):
                self.owe(each.apart(one))
        # It may have been forgotten meanwhile, when nobody waited.
        if run.key in self._renderings:
            self._renderings[run.key].has_died = run.has_died
        return list(_due(owed))

    def learn(self, run: Run, reads: Sources) -> None:
        """Take note of what a rendering of an update has read."""
        if not run.is_by_vary:
            self._profiles.learn(run.key[:4], reads)

    def _rendering(self, key: RenderKey) -> _Rendering:
        reads = self._profiles.expected(key[:4])
        rendering = self._renderings.get(key)
        if rendering is None:
            rendering = self._renderings[key] = _Rendering(key, reads)
        elif rendering.reads != reads:
            self._divide(rendering, reads)
        return rendering

    def _divide(self, rendering: _Rendering, reads: Sources) -> None:
        """Divide what waits anew, as its renderings read something else than was expected."""
        earlier = list(rendering.parts.values())
        for part in earlier:
            self._queue.discard((rendering.key, part.values))
        rendering.parts.clear()
        rendering.reads = reads
        rendering.busy = {each for run in rendering.runs for each in run.connections}
        for owed in [each for part in earlier for each in part.waiting]:
            for each in _divided(rendering, owed):
                if (one := next(iter(each.to), None)) is not None:
                    rendering.part(one).waiting.put(each)
                else:
                    each.release()
        for part in list(rendering.parts.values()):
            part.is_blocked = rendering.is_busy(part)
            self._tidy(rendering, part)

    def _unblock(self, rendering: _Rendering) -> None:
        """Let those have their turn for whom nothing is under way any more."""
        rendering.busy = {
            each
            for run in rendering.runs
            if run.part is not rendering.parts.get(run.part.values)
            for each in run.connections
        }
        for part in list(rendering.parts.values()):
            if part.is_blocked:
                part.is_blocked = rendering.is_busy(part)
                self._tidy(rendering, part)

    def _tidy(self, rendering: _Rendering, part: _Part) -> None:
        key, values = rendering.key, part.values
        if rendering.parts.get(values) is part:
            if not part:
                del rendering.parts[values]
                self._queue.discard((key, values))
            elif part.is_running or part.is_blocked:
                self._queue.discard((key, values))
            else:
                self._queue.add((key, values), part.flow)
        if not rendering.parts and not rendering.runs:
            self._renderings.pop(key, None)


def _is_by_vary(key: RenderKey) -> bool:
    return key[5][0] == "vary"


def _key(owed: Owed, connection: Connection) -> RenderKey:
    dependency = owed.dependency
    serializer, group = dependency.serializer, connection.group(dependency)
    if not serializer.reads_object:
        # A page that is made anew is the same for all its updates. Two at once could end
        # in the wrong order, and the page show the older one.
        return "", "", serializer, "", None, group
    name, model = dependency.name, dependency.condition.model
    return name, model, serializer, dependency.data, owed.pk, group


def _divided(rendering: _Rendering, owed: Owed) -> list[Owed]:
    """What is owed to all at once, if they get it from one run; else one by one."""
    to = owed.to
    if not isinstance(to, Audience) or not rendering.reads or _is_by_vary(rendering.key):
        return [owed]
    values = to.cohort.values(rendering.reads)
    if values is None:
        apart = [owed.apart(each) for each in list(to)]
        owed.release()
        return apart
    # Those who have left it may be unlike the others.
    return [owed, *(owed.apart(each) for each in to.unlike(values, rendering.reads))]


def _due(owed: Iterable[Owed]) -> Iterator[Owed]:
    """What somebody still waits for; the rest is released."""
    for each in owed:
        if each.first is None:
            each.release()
        else:
            yield each


def _job(run: Run) -> RenderJob:
    first = run.owed[0]
    return RenderJob(
        name=first.dependency.name,
        model=first.dependency.condition.model,
        pk=first.pk,
        present=run.present,
        serializer=first.dependency.serializer,
        data=first.dependency.data,
        page=run.lead.page,
        visitor=run.lead.visitor,
    )
