"""A quiet page beside a hot one: 500 watchers, a rendering of 5 ms for each, saved all the time."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.site import running, saver
from tests.chaos.crowd import Crowd, Member
from tests.live.clients import browse
from tests.live.processes import Live, wait_until

QUIET, HOT = 1, 2
WATCHERS = 500
SAVES = 200


def measure(saves: int = SAVES, watchers: int = WATCHERS) -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    with running(LIVE_URLS="benchmarks.views_fairness") as live:
        live.shell(f"from tests.project.models import Author; Author.objects.create(pk={HOT})")
        crowd = Crowd(live.port, live.url)
        try:
            quiet = _join(live, crowd, QUIET, 1)[0]
            hot = _join(live, crowd, HOT, watchers)
            alone = _times(live, quiet, saves)
            with _saving(live):
                wait_until(lambda: hot[-1].of("bench"), "the hot page is saved", timeout=60)
                before = sum(len(each.events) for each in hot)
                began = time.monotonic()
                beside = _times(live, quiet, saves)
                rate = (sum(len(each.events) for each in hot) - before) / (time.monotonic() - began)
        finally:
            crowd.stop()
    return [
        (f"from a commit to the event of a quiet page, alone, {saves} saves", _told(alone)),
        (
            f"the same beside a page with {watchers} watchers, a rendering of 5 ms for each, "
            f"saved all the time ({rate:.0f} renderings a second)",
            _told(beside),
        ),
    ]


def _join(live: Live, crowd: Crowd, pk: int, count: int) -> list[Member]:
    _, record = browse(f"{live.url}/page/{pk}/")
    auth = {"page": record["page"]}
    return [crowd.join(auth, User_Agent=f"client {number}") for number in range(count)]


def _times(live: Live, quiet: Member, saves: int) -> list[float]:
    """Milliseconds from each commit to its event."""
    times = []
    with saver(live) as site:
        for _ in range(saves):
            count = len(quiet.events)
            saved = site.save()
            wait_until(lambda count=count: len(quiet.events) > count, "the quiet page's event", 60)
            # Both clocks are this machine's.
            arrived = quiet.events[count].at - time.monotonic() + time.time()
            times.append((arrived - saved) * 1000)
    return times


@contextmanager
def _saving(live: Live) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hot", str(HOT)],
        env=live.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "saving\n"
        yield
    finally:
        process.communicate()


def _told(times: list[float]) -> str:
    times = sorted(times)
    p99 = times[int(len(times) * 0.99)]
    return f"median {statistics.median(times):.1f} ms, p99 {p99:.1f} ms"
