"""The live test site's processes, for measuring."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import Told, told
from tests.live.processes import Live


@contextmanager
def running(**environ: str) -> Iterator[Live]:
    """A site with one author, a push server, and nothing else; ``environ`` is for its settings."""
    # As many renderers as there are by default.
    environ = {"LIVE_RENDERERS": "2", **environ}
    with tempfile.TemporaryDirectory() as folder, Live(Path(folder), environ) as live:
        live.start()
        live.shell("from tests.project.models import Author; Author.objects.create(pk=1)")
        yield live


@contextmanager
def saver(live: Live) -> Iterator[Saver]:
    """A process of the project that saves when it is told to."""
    with told([sys.executable, "-m", "benchmarks.saver"], live.environ) as process:
        yield Saver(process)


def counted(live: Live, name: str, **labels: str) -> float:
    """The sum of a metric of the push server over all its labels but these."""
    text = requests.get(f"{live.notifier_url}/metrics", timeout=60).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


class Saver:
    def __init__(self, process: Told) -> None:
        self._process = process
        self.pid = process.pid

    def save(self) -> float:
        """Save the author; returns when that was committed, in seconds since the epoch."""
        return float(self._process.ask("save"))
