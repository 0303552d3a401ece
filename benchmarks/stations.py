"""An app that notes when a change passes each station on its way from the commit to the socket.

Installed by ``settings_latency``, in the site's processes, the push server's and its renderers'.
Each appends lines ``STATION SECONDS`` to the file that ``BENCH_STATIONS`` names, the seconds
being those of the epoch: all the processes have one clock.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.apps import AppConfig

ORDER = (
    "committed",
    "posted",
    "applied",
    "asked",
    "begun",
    "rendered",
    "answered",
    "emitted",
)


class Stations(AppConfig):
    name = "benchmarks.stations"
    label = "stations"

    def ready(self) -> None:
        """Put a note before or after what each process does; a renderer's own are its two."""
        from serverpush.jobs import RenderJob
        from serverpush.renderer import worker
        from serverpush.server.core.dispatch import Dispatch
        from serverpush.server.renderer import Renderer
        from serverpush.server.transport import Transport
        from serverpush.web.line import Port
        from serverpush.web.outbox import Outbox

        def renders(arguments: tuple[Any, ...]) -> bool:
            return isinstance(arguments[1], RenderJob)

        note = _notes(os.environ["BENCH_STATIONS"])
        _around(Outbox, "put", note, before="committed")
        _around(Port, "post", note, before="posted")
        _around(Dispatch, "changed", note, before="applied")
        _around(Renderer, "ask", note, before="asked", after="answered", only=renders)
        _around(worker, "answer", note, before="begun", after="rendered")
        _around(Transport, "send", note, after="emitted")


def passed(text: str) -> Iterator[list[float]]:
    """Of each change, when it passed the stations in their order, as the lines tell.

    What is not of a change, as a message to one who joins, is left out.
    """
    times: list[float] = []
    notes = (line.split() for line in text.splitlines())
    for station, at in sorted(notes, key=lambda note: float(note[1])):
        if station == ORDER[0]:
            times = []
        if len(times) < len(ORDER) and station == ORDER[len(times)]:
            times.append(float(at))
            if len(times) == len(ORDER):
                yield times


def _notes(path: str) -> Callable[[str], None]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(station: str) -> None:
        os.write(file, f"{station} {time.time():.6f}\n".encode())

    return note


def _around(
    owner: Any,
    name: str,
    note: Callable[[str], None],
    *,
    before: str = "",
    after: str = "",
    only: Callable[[tuple[Any, ...]], bool] = lambda arguments: True,
) -> None:
    function = getattr(owner, name)

    @functools.wraps(function)
    def noted(*arguments: Any, **named: Any) -> Any:
        is_one = only(arguments)
        if before and is_one:
            note(before)
        try:
            return function(*arguments, **named)
        finally:
            if after and is_one:
                note(after)

    setattr(owner, name, noted)
