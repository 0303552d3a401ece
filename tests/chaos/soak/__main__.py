"""``python -m tests.chaos.soak --minutes 20 --clients 300``: fails where something has grown."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from serverpush.server.notifier import REMEMBERED_BATCHES
from tests.live.processes import ROOT

from .chart import chart
from .run import Plan, Soak

CHART = ROOT / "docs" / "images" / "soak.svg"
FIGURES = ROOT / "build" / "chaos" / "soak.json"

# Seconds: until those that vanished are noticed, and until the log is full.
QUIET = 60.0
WARM_UP = 75.0
SHORTEST = 4


def tell(line: str) -> None:
    end = "" if sys.stdout.isatty() else "\n"
    print(f"\r{line}\x1b[K" if not end else line, end=end, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak")
    parser.add_argument("--minutes", type=float, default=20, help="of all parts together")
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--chart", type=Path, default=CHART, help="the SVG to write")
    chosen = parser.parse_args()
    if chosen.minutes < SHORTEST:
        parser.error(f"there are two quiet minutes and a warm-up: take {SHORTEST} or more")
    busy = chosen.minutes * 60 - 2 * QUIET
    warm_up = max(WARM_UP, busy * 0.2)
    plan = Plan(
        chosen.clients, warm_up, busy - warm_up, QUIET, stay=15, every=5, batches=REMEMBERED_BATCHES
    )
    with tempfile.TemporaryDirectory() as folder:
        outcome = Soak(Path(folder), plan, tell).run()
    what = f"{chosen.minutes:g} minutes, {chosen.clients} clients coming and going"
    told = ", ".join(f"{name} {value}" for name, value in outcome.figures().items())
    print(f"\nsoak: {what}: {told}")
    chosen.chart.write_text(chart(outcome.samples, what))
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps({"what": what, "figures": told, "problems": outcome.problems}))
    for problem in outcome.problems:
        print(f"FAILED: {problem}")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
