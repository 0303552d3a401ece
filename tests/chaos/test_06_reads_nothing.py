"""6. A client that reads nothing while 1 GB is sent.

It is the push server itself that sends: a page's event has 900 kB, and changes again and again.
Whoever does not read is closed when ``SERVERPUSH_SEND_BUFFER`` is full; here it comes back at
once and reads nothing again, until so much was written or waiting for it. Others are
measured beside it and, in turns, beside a client of the same page that reads everything: what
the big events themselves cost is in both.
"""

from __future__ import annotations

import statistics
import threading
from contextlib import contextmanager

from tests.chaos.arena import arena
from tests.chaos.views_hostile import BIG, BIG_BYTES
from tests.chaos.watchers import p99, peak_of

CLOSED_SECONDS = 10
GROWTH_MB = 10
MORE = 1.2
INTERVAL = 0.02
"""Seconds between two changes of the big page."""


@contextmanager
def big_changes(place):
    """The big page changes all the time."""
    over, reporter = threading.Event(), place.reporter()

    def report():
        while not over.wait(INTERVAL):
            reporter.change(BIG)

    thread = threading.Thread(target=report)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        reporter.close()


def one_round(place, reporter, kind, seconds):
    """Others' p99 in ms, the push server's peak in MB, what the client saw, bytes offered."""
    before, received = place.delivered(), place.watchers.received
    with peak_of(place.pid) as peak, big_changes(place), place.client(kind, place.big) as seen:
        taken = place.watchers.probe(reporter, seconds)
    events = place.delivered() - before - (place.watchers.received - received)
    return p99(taken), peak.mb, seen, events * BIG_BYTES


def test_a_client_that_reads_nothing(tmp_path, size, figures):
    wanted, seconds, least = size(20e6, 1e9), size(1, 3), size(1, 12)
    # A short round's p99 is a few events: there it tells of catastrophes only.
    slack = size(50, 0)
    quiet, loaded, peaks, lives = [], [], [], []
    offered = closed = 0
    with arena(tmp_path) as place:
        reporter = place.reporter()
        _, base, _, _ = one_round(place, reporter, "reads all", seconds)
        while offered < wanted or len(loaded) < least:
            taken, peak, seen, size_ = one_round(place, reporter, "reads nothing", seconds)
            assert seen["closed"], "never closed"
            loaded.append(taken)
            peaks.append(peak)
            lives.append(seen["slowest"])
            offered, closed = offered + size_, closed + seen["closed"]
            taken, peak, seen, size_ = one_round(place, reporter, "reads all", seconds)
            assert seen["bytes"] > size_ / 2
            quiet.append(taken)
        reporter.close()
        place.watchers.check()
        log = place.live.push.output
    assert max(lives) <= CLOSED_SECONDS
    grown = max(peaks) - base
    assert grown <= GROWTH_MB
    beside, alone = statistics.median(loaded), statistics.median(quiet)
    assert beside <= MORE * alone + slack
    assert "reason=slow" in log
    figures.say(
        6,
        f"{offered / 1e9:.2f} GB for a client that reads nothing, closed {closed} times",
        closed_within=f"{max(lives):.2f} s",
        memory=f"{grown:+.1f} MB",
        p99_of_others=f"{beside:.1f} ms (beside one that reads: {alone:.1f} ms)",
    )
