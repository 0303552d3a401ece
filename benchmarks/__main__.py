"""``make bench``: run every measurement and write the table into the docs."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import (
    fairness,
    fanout,
    followers,
    growth,
    latency,
    renders,
    returning,
    selectivity,
    site_costs,
)
from benchmarks.watching import machine

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "measurements.md"
MODULES = (
    latency,
    fanout,
    followers,
    returning,
    growth,
    renders,
    selectivity,
    site_costs,
    fairness,
)
PLACE = re.compile(r"(<!-- figures:begin -->\n).*?(<!-- figures:end -->)", re.DOTALL)


def main() -> None:
    rows = []
    for module in MODULES:
        print(f"{module.__name__}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        for what, figure in module.measure():
            print(f"  {what}: {figure}", flush=True)
            rows.append(f"| {what} | {figure} |\n")
    table = f"\nMeasured on {machine()}.\n\n| what | figure |\n|---|---|\n{''.join(rows)}\n"
    text = PAGE.read_text()
    PAGE.write_text(PLACE.sub(lambda found: found[1] + table + found[2], text))
    print(f"written to {PAGE.relative_to(PAGE.parents[2])}")


if __name__ == "__main__":
    main()
