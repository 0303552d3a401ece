"""Renderings for one change that all visitors of a public page watch, nothing being declared."""

from __future__ import annotations

from benchmarks.crowd import crowd
from benchmarks.peers.ours import watching
from benchmarks.site import counted, running, saver

CLIENTS = (1, 10_000)
SAVES = 5


def measure() -> list[tuple[str, str]]:
    """The rows of the table: what, and the figure."""
    rows = []
    for clients in CLIENTS:
        renders = run(clients)
        rows.append(
            (
                f"renderings for one change that {clients:,} visitors of a public page watch",
                f"{renders:g}, by a function that renders a template; each visitor has a cookie "
                f"of their own ({SAVES} saves)",
            )
        )
    return rows


def run(clients: int, saves: int = SAVES) -> float:
    """How many renderings a save causes; raises ``RuntimeError`` where an event did not come."""
    with running(LIVE_URLS="benchmarks.views_renders") as live, saver(live) as site:
        assert live.push is not None
        with crowd(watching(live, "/page/1/", [live.push.pid], site)) as those:
            those.connect(clients, at_once=50, strangers=True)
            before = counted(live, "serverpush_job_seconds_count", job="render")
            for _ in range(saves):
                site.save()
                those.wait(clients)
            if those.lost:
                raise RuntimeError(f"{those.lost} of {clients * saves} events did not come")
            return (counted(live, "serverpush_job_seconds_count", job="render") - before) / saves
