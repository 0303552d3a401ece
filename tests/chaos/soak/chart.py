"""The curve of a soak."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests import charts
from tests.charts import BLUE, GREEN, GREY, Panel

from .watch import Sample


def chart(samples: Sequence[Sample], title: str) -> str:
    """Memory above, clients and open files below, over the minutes."""
    last = samples[-1].at or 1
    memory = Panel(
        "resident memory, MB",
        [
            ("push server", BLUE, [each.push.memory / 1e6 for each in samples]),
            ("renderers, mean", GREEN, [_mean(each, lambda h: h.memory / 1e6) for each in samples]),
        ],
    )
    counts = Panel(
        "clients and open files",
        [
            ("clients", GREY, [float(each.clients) for each in samples]),
            ("files, push server", BLUE, [float(each.push.files) for each in samples]),
            ("files, renderers", GREEN, [_mean(each, lambda h: h.files) for each in samples]),
        ],
    )
    places = [each.at / last for each in samples]
    return charts.chart(title, places, (memory, counts), ("0", f"{last / 60:.1f} minutes"))


def _mean(sample: Sample, value: Callable[..., float]) -> float:
    values = [value(each) for each in sample.renderers.values()]
    return sum(values) / len(values) if values else 0.0
