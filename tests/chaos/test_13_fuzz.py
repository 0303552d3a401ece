"""13. Frames, bodies and tokens by chance: no unhandled error, no leaked socket, a short log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from tests.chaos.fuzz import Mutator, descriptors, known_words
from tests.chaos.fuzz_sockets import Wire
from tests.live.clients import Client, browse
from tests.live.conftest import live  # noqa: F401
from tests.live.processes import ROOT, wait_until

SEED = int(os.environ.get("FUZZ_SEED", "13"))
MEGABYTE = 1_000_000
# Beyond every deadline that a connection of HTTP or an unjoined client has.
SECONDS_TO_CLOSE = 45


def in_one_process(count):
    """Give ``count`` inputs to the code that reads them; returns what was seen."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.fuzz", str(SEED), str(count)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"seed {SEED}: {done.stderr[-4000:]}"
    seen = json.loads(done.stdout)
    assert seen["errors"] == [], f"seed {SEED}"
    assert sum(seen["inputs"].values()) == count
    assert (seen["left"], seen["descriptors"]) == (0, 0)
    # What is refused at the door tests nothing behind it.
    assert min(seen["reached"].values()) > count / 1000, seen["reached"]
    return seen


def over_sockets(site, count):
    """Send ``count`` inputs to a push server; returns the bytes of its log."""
    _, record = browse(f"{site.url}/author/1/")
    words = known_words(record["page"], site.manage("serverpush_key").stdout.strip())
    wire = Wire(Mutator(SEED, **words), site.port, site.notifier_port)
    pid, before, printed = site.push.pid, descriptors(site.push.pid), len(site.push.output)
    while wire.count < count:
        for send in (wire.frames, wire.frames, wire.posts, wire.requests):
            send()
    wait_until(lambda: descriptors(pid) <= before, "its sockets closed", SECONDS_TO_CLOSE)
    log = site.push.output[printed:]
    assert "Traceback" not in log, f"seed {SEED}: {log[-4000:]}"
    assert " failed" not in log, f"seed {SEED}: {log[-4000:]}"
    client = Client(site.push_url, {"page": record["page"]})
    client.event("serverpush:ready")
    client.close()
    return len(log)


def test_fuzzing(live, size, figures):  # noqa: F811
    count, sent = size(20_000, 1_000_000), size(1_000, 40_000)
    begun = time.monotonic()
    seen = in_one_process(count)
    log = over_sockets(live, sent)
    assert seen["log"] + log < MEGABYTE
    figures.say(
        13,
        f"{count:,} inputs for the code that reads them and {sent:,} over sockets, seed {SEED}",
        took=f"{time.monotonic() - begun:.0f} s",
        unhandled_errors="0",
        leaked_sockets="0",
        log=f"{(seen['log'] + log) / 1000:.0f} kB",
    )
