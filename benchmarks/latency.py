"""From a commit to one browser: a real Chromium that watches one page, and where the time goes."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks import stations
from benchmarks.site import running, saver

SAVES = 300
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
LISTEN = """
() => {
  window.next = () => new Promise((resolve) => { window.resolve = resolve; });
  serverpush.on('author', () => window.resolve(performance.timeOrigin + performance.now()));
}
"""
PARTS = (
    "outbox: its thread wakes",
    "notifier: the HTTP request is sent, read and checked",
    "match: who is affected, and a renderer is asked",
    "render: the job gets to the renderer",
    "render: the project's middleware, the query, the field map",
    "render: the result gets back",
    "emit: from the result to the socket",
    "browser: from the socket to the handler",
)
"""Between the stations, of which the commit is the first, and the browser's handler."""


def measure(saves: int = SAVES) -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    times = sorted(arrived - committed for committed, arrived in run(saves)[0])
    # Apart from it: to note the stations takes time, too.
    ways = run(saves, DJANGO_SETTINGS_MODULE="benchmarks.settings_latency")[1]
    parts = [statistics.median(part) for part in zip(*ways, strict=True)]
    rows = [
        (
            f"from a commit to Chromium's handler, one watcher, {saves} saves",
            f"median {_ms(statistics.median(times))}, p99 {_ms(times[int(len(times) * 0.99)])}",
        )
    ]
    return rows + [
        (f"of these, {what}", f"median {_ms(part)}")
        for what, part in zip(PARTS, parts, strict=True)
    ]


def run(saves: int, **environ: str) -> tuple[list[tuple[float, float]], list[list[float]]]:
    """Save so many times.

    Returns when each was committed and its event arrived, in seconds since the epoch, and of
    each the seconds of ``PARTS`` if the settings note them.
    """
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        notes = Path(folder) / "stations"
        notes.touch()
        environ["BENCH_STATIONS"] = str(notes)
        with running(**environ) as live, saver(live) as site:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                args=ARGUMENTS,
            )
            page = browser.new_page()
            page.goto(f"{live.url}/author/1/")
            page.wait_for_selector("html[data-serverpush=connected]", state="attached")
            page.evaluate(LISTEN)
            notes.write_text("")
            times = []
            for _ in range(saves):
                page.evaluate("() => { window.arrival = window.next(); }")
                committed = site.save()
                times.append((committed, page.evaluate("() => window.arrival") / 1000))
            browser.close()
        ways = list(stations.passed(notes.read_text()))
    if not ways:
        return times, []
    # In the order of the saves, of which each waited for the one before.
    return times, [
        [end - begin for begin, end in zip(way, [*way[1:], arrived], strict=True)]
        for (_, arrived), way in zip(times, ways, strict=True)
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
