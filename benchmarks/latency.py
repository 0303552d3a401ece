"""From a commit to one browser: a real Chromium that watches one page."""

from __future__ import annotations

import os
import shutil
import statistics

from playwright.sync_api import sync_playwright

from benchmarks.site import counted, running, saver

SAVES = 300
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
# Seconds that have gone by, in the push server's metrics.
PARTS = (
    ("serverpush_commit_to_emit_seconds_sum", {}),
    ("serverpush_job_seconds_sum", {"job": "render", "outcome": "done"}),
)
LISTEN = """
() => {
  window.next = () => new Promise((resolve) => { window.resolve = resolve; });
  serverpush.on('author', () => window.resolve(performance.timeOrigin + performance.now()));
}
"""


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    with running() as live, saver(live) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=ARGUMENTS
        )
        page = browser.new_page()
        page.goto(f"{live.url}/author/1/")
        page.wait_for_selector("html[data-serverpush=connected]", state="attached")
        page.evaluate(LISTEN)
        times = []
        before = {name: counted(live, name, **labels) for name, labels in PARTS}
        for _ in range(SAVES):
            page.evaluate("() => { window.arrival = window.next(); }")
            saved = site.save()
            arrived = page.evaluate("() => window.arrival") / 1000
            times.append((arrived - saved) * 1000)
        spent = [counted(live, name, **labels) - before[name] for name, labels in PARTS]
        browser.close()
    mean = statistics.fmean(times)
    emitted, rendered = (each / SAVES * 1000 for each in spent)
    times.sort()
    return [
        (
            f"from just before a commit to Chromium's handler, one watcher, {SAVES} saves",
            f"median {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms",
        ),
        (
            "of these, on average",
            f"from the commit to the push server's socket {emitted:.1f} ms, {rendered:.1f} ms of "
            f"it in the renderer; the save, and from the socket to the handler, "
            f"{mean - emitted:.1f} ms",
        ),
    ]
