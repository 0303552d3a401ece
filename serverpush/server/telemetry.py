"""Telemetry: what an operator sees, log lines and metrics.

No line and no metric holds a token, a cookie or a payload.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector

logger = logging.getLogger("serverpush.server")

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
# Lines of one kind in one second; of the others only the number is told.
MAX_LINES = 10
# Characters of a value in a line.
MAX_TEXT = 1000
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_PLAIN = re.compile(r"[\w.:/@+-]+", re.ASCII)


class Telemetry:
    """Counts what happens in the push server, and says it in ``event key=value`` lines.

    The same fields are in each record's ``serverpush`` attribute, for handlers
    that write JSON.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter = self._counter
        self._changes = counter("changes", "Changes reported to the push server")
        self._messages = counter("messages", "Messages sent through the push server")
        self._deliveries = counter("deliveries", "Events given to connections")
        self._connects = counter("connects", "Connections accepted")
        self._refusals = counter("refusals", "Connections refused", "code")
        self._closes = counter("closes", "Connections closed", "reason")
        self._ends = counter("ends", "Connections ended because access ended", "reason")
        self._refreshes = counter("refreshes", "Connections told to refresh", "reason")
        self._gaps = counter("gaps", "Times that changes were lost")
        self._rejected = counter("rejected_calls", "Calls of the notifier port refused", "status")
        self._foreign = counter(
            "records_refused", "Entries of the shared log that nobody of this project signed", "log"
        )
        self._replaced = counter("renderers_replaced", "Renderers replaced", "reason")
        self._jobs = Histogram(
            "serverpush_job_seconds",
            "Seconds that a renderer took for a job",
            ["job", "outcome"],
            registry=self.registry,
            buckets=SECONDS,
        )
        self._emits = Histogram(
            "serverpush_commit_to_emit_seconds",
            "Seconds from a change's commit to its event",
            registry=self.registry,
            buckets=SECONDS,
        )
        self._clock_was_set_back = False
        self._said: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Show what ``value`` returns whenever the metrics are asked for."""
        Gauge(f"serverpush_{name}", meaning, registry=self.registry).set_function(value)

    def metrics(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)

    def tick(self) -> None:
        """Say what was gathered; to be called once a second."""
        for reason, count in self._told.items():
            self._write(logging.INFO, "refresh", {"reason": reason, "clients": count})
        for event, count in self._said.items():
            if count > MAX_LINES:
                self._write(logging.WARNING, event, {"left_out": count - MAX_LINES})
        self._told.clear()
        self._said.clear()

    # Connections

    def connected(self, client: str, page: str, user: str, address: str) -> None:
        self._connects.inc()
        self._say(logging.INFO, "connect", client=client, page=page, user=user, address=address)

    def refused(self, code: str, address: str) -> None:
        self._refusals.labels(code).inc()
        self._say(logging.INFO, "refuse", code=code, address=address)

    def closed(self, client: str, reason: str) -> None:
        self._closes.labels(reason).inc()
        level = logging.WARNING if reason in ("slow", "flood", "bad packet") else logging.DEBUG
        self._say(level, "close", client=client, reason=reason)

    def ended(self, count: int, reason: str) -> None:
        self._ends.labels(reason).inc(count)
        self._say(logging.INFO, "end", reason=reason, clients=count)

    # Changes and events

    def changed(self, count: int) -> None:
        self._changes.inc(count)

    def published(self, count: int) -> None:
        self._messages.inc(count)

    def emitted(self, count: int, seconds: float | None) -> None:
        """An event went to ``count`` connections, so long after the commit; None: a replay."""
        self._deliveries.inc(count)
        if seconds is not None:
            self._emits.observe(max(0.0, seconds))

    def refreshed(self, reason: str, count: int) -> None:
        self._refreshes.labels(reason).inc(count)
        self._told[reason] += count

    def gap(self, reason: str) -> None:
        self._gaps.inc()
        self._say(logging.WARNING, "gap", reason=reason)

    def rejected(self, path: str, address: str, status: int, error: str) -> None:
        """A call of the notifier port was answered with an error."""
        self._rejected.labels(status).inc()
        self._say(logging.WARNING, "reject", path=path, address=address, status=status, error=error)

    def record_refused(self, log: str) -> None:
        """An entry of the log that is shared was not written by who has ``SECRET_KEY``."""
        self._foreign.labels(log).inc()
        self._say(logging.WARNING, "refuse record", log=log)

    def failed(self, sentence: str) -> None:
        """Something that was to be pushed could not be: pages were told to refresh."""
        self._said["failure"] += 1
        if self._said["failure"] <= MAX_LINES:
            logger.error("%s", _one_line(sentence))

    def clock_was_set_back(self, seconds: float) -> None:
        if not self._clock_was_set_back:
            self._clock_was_set_back = True
            self._say(logging.WARNING, "clock set back", seconds=round(seconds, 1))

    def page_from_the_future(self, seconds: float) -> None:
        """The clock of who rendered a page is, or was, ahead of this machine's."""
        self._say(logging.WARNING, "page from the future", seconds=round(seconds, 1))

    # Renderers

    def worked(self, job: str, outcome: str, seconds: float) -> None:
        self._jobs.labels(job, outcome).observe(seconds)

    def replaced(self, pid: int, reason: str) -> None:
        self._replaced.labels(reason).inc()
        self._say(logging.WARNING, "renderer replaced", pid=pid, reason=reason)

    def _counter(self, name: str, meaning: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(
            f"serverpush_{name}", meaning, labels, registry=self.registry
        )

    def _say(self, level: int, event: str, **fields: Any) -> None:
        self._said[event] += 1
        if self._said[event] <= MAX_LINES:
            self._write(level, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if logger.isEnabledFor(level):
            told = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
            extra = {"serverpush": {"event": event, **fields}}
            logger.log(level, "%s %s", event, told, extra=extra)


def _plain(value: Any) -> str:
    """A value on one line that can be told from the next one."""
    text = str(value)[:MAX_TEXT]
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _one_line(text: str) -> str:
    """A sentence that no line break or control character of a value cuts in two."""
    shown = (each if each.isprintable() else repr(each)[1:-1] for each in text[:MAX_TEXT])
    return "".join(shown)
