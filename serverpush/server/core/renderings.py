"""Renderings: what waits to be rendered, each distinct one once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from serverpush.jobs import RenderJob
from serverpush.protocol import Key, Position, Serializer
from serverpush.server.core.fair import FairQueue, Flow
from serverpush.server.core.owed import Owed
from serverpush.server.core.registry import Connection, Group

RenderKey = tuple[str, str, Serializer, str, Key | None, Group]
_Places = dict[tuple[Connection, str], Owed]


@dataclass(slots=True)
class Run:
    """A rendering under way: whom it is for, where the log stood, whose request it is.

    ``present`` is False where the instance stopped matching.
    """

    key: RenderKey
    owed: list[Owed]
    started: Position
    lead: Connection
    present: bool

    @property
    def is_of_instance(self) -> bool:
        """Does it take one instance, and not the page as a whole?"""
        return self.key[4] is not None


@dataclass(slots=True)
class _Rendering:
    flow: Flow
    present: _Places = field(default_factory=dict)
    absent: _Places = field(default_factory=dict)
    running: bool = False

    def waiting(self, present: bool) -> _Places:
        return self.present if present else self.absent

    def __bool__(self) -> bool:
        return bool(self.present or self.absent or self.running)


class Renderings:
    """The queue of distinct renderings.

    Updates take turns, within them the pages, within these the instances: a
    page that has thousands of renderings coming does not keep back another's.
    While one waits, further changes fold into it; while it runs, they wait for
    one more run. No rendering runs twice at once, so each client gets the
    states of an instance in their order.
    """

    def __init__(self) -> None:
        self._renderings: dict[RenderKey, _Rendering] = {}
        self._queue: FairQueue[RenderKey] = FairQueue()

    def __len__(self) -> int:
        return len(self._queue)

    def owe(self, owed: Owed) -> None:
        """Note that a connection has something coming, or no longer has."""
        key = _key(owed)
        pk = key[4]
        rendering = self._renderings.get(key)
        if rendering is None:
            # One that is shared by several pages takes the turns of the first.
            flow = (key[:3], owed.connection.page.path, pk)
            rendering = self._renderings[key] = _Rendering(flow)
        where = (owed.connection, owed.mark)
        waiting = rendering.present.pop(where, None) or rendering.absent.pop(where, None)
        if waiting is not None:
            if pk is not None or owed.action is not None:
                waiting.fold(owed, same_instance=pk is not None)
            # Else another instance's change that says nothing: what waits stays.
            owed.release()
            owed = waiting
        if owed.action is None:
            owed.release()
        else:
            owed.hold()
            # A view that takes no object runs the same whether it is there or not.
            rendering.waiting(owed.after or pk is None)[where] = owed
        self._tidy(key, rendering)

    def next(self, head: Position) -> tuple[Run, RenderJob] | None:
        """Begin the rendering whose turn it is; ``head`` is where the log stands."""
        while (key := self._queue.next()) is not None:
            rendering = self._renderings[key]
            present = bool(rendering.present)
            owed = list(_due(rendering.waiting(present).values()))
            rendering.waiting(present).clear()
            if owed:
                rendering.running = True
                run = Run(key, owed, head, owed[0].connection, present)
                return run, _job(run)
            self._tidy(key, rendering)
        return None

    def finish(self, run: Run) -> list[Owed]:
        """End a run; returns what it was for, as far as the connections are still there."""
        rendering = self._renderings[run.key]
        rendering.running = False
        self._tidy(run.key, rendering)
        return list(_due(run.owed))

    def _tidy(self, key: RenderKey, rendering: _Rendering) -> None:
        if not rendering:
            self._renderings.pop(key, None)
            self._queue.discard(key)
        elif not rendering.running:
            self._queue.add(key, rendering.flow)


def _key(owed: Owed) -> RenderKey:
    dependency = owed.dependency
    serializer, group = dependency.serializer, owed.connection.group(dependency)
    if not serializer.reads_object:
        # A page that is made anew is the same for all its updates. Two at once could end
        # in the wrong order, and the page show the older one.
        return "", "", serializer, "", None, group
    name, model = dependency.name, dependency.condition.model
    return name, model, serializer, dependency.data, owed.pk, group


def _due(owed: Iterable[Owed]) -> Iterator[Owed]:
    """Those that somebody still waits for; the others are released."""
    for each in owed:
        if each.connection.closed or each.connection.overdue:
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
