"""``make bench``: run every measurement and write the table into the docs.

With names, as ``python -m benchmarks fanout latency``, those alone are run, and shown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import (
    compression,
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
from benchmarks.installing import versions
from benchmarks.watching import machine

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "measurements.md"
MODULES = {
    each.__name__.removeprefix("benchmarks."): each
    for each in (
        latency,
        fanout,
        followers,
        returning,
        growth,
        renders,
        compression,
        selectivity,
        site_costs,
        fairness,
    )
}
PLACE = re.compile(r"(<!-- figures:begin -->\n).*?(<!-- figures:end -->)", re.DOTALL)


def main() -> None:
    names = sys.argv[1:]
    for name in names:
        if name not in MODULES:
            raise SystemExit(f"there is no measurement {name!r}: choose of {', '.join(MODULES)}")
    rows = [f"| {what} | {figure} |\n" for what, figure in measured(names or list(MODULES))]
    if not names:
        write(rows)


def measured(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Rows of the table, shown as they come."""
    for name in names:
        print(f"{name}: {(MODULES[name].__doc__ or '').splitlines()[0]}", flush=True)
        for what, figure in MODULES[name].measure():
            print(f"  {what}: {figure}", flush=True)
            yield what, figure


def write(rows: list[str]) -> None:
    """Write the table into the docs."""
    beside = ", ".join(f"{name} {version}" for name, version in versions().items())
    table = (
        f"\nMeasured on {machine()}, beside {beside}.\n\n"
        f"| what | figure |\n|---|---|\n{''.join(rows)}\n"
    )
    text = PAGE.read_text()
    PAGE.write_text(PLACE.sub(lambda found: found[1] + table + found[2], text))
    print(f"written to {PAGE.relative_to(PAGE.parents[2])}")


if __name__ == "__main__":
    main()
