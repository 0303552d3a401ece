"""7. Clients that send without end: they are closed, and others hardly notice."""

from __future__ import annotations

from tests.chaos.arena import arena
from tests.chaos.hostile import FLOODS
from tests.chaos.watchers import p99, peak_of

CLOSED_SECONDS = 2
GROWTH_MB = 5
LOG_BYTES = 1_000_000


def test_floods(tmp_path, size, figures):
    # In short rounds a p99 is a single event: there it tells of catastrophes only.
    seconds, p99_ms = size(0.5, 6), size(500, 100)
    with arena(tmp_path) as place:
        reporter = place.reporter()
        with peak_of(place.pid) as before:
            quiet = place.watchers.probe(reporter, 1)
        slowest, worst, sent, closed = 0.0, 0.0, 0, 0
        with peak_of(place.pid) as meanwhile:
            for kind in FLOODS:
                with place.client(kind, place.small) as seen:
                    taken = place.watchers.probe(reporter, seconds)
                assert seen["slowest"] <= CLOSED_SECONDS, (kind, seen)
                assert p99(taken) < p99_ms, kind
                slowest, worst = max(slowest, seen["slowest"]), max(worst, p99(taken))
                sent, closed = sent + seen["sent"], closed + seen["closed"]
        place.watchers.check()
        grown = meanwhile.mb - before.mb
        assert grown <= GROWTH_MB
        assert len(place.live.push.output) < LOG_BYTES
        assert "Traceback" not in place.live.push.output
        figures.say(
            7,
            f"{len(FLOODS)} kinds of inbound flood, {sent / 1e6:,.0f} MB, closed {closed:,} times",
            closed_within=f"{slowest:.2f} s",
            p99_of_others=f"{worst:.0f} ms at worst (quiet: {p99(quiet):.0f} ms)",
            memory=f"{grown:+.1f} MB",
        )
        reporter.close()
