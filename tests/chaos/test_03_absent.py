"""3. The push server is absent: the site does not notice, and all converge when it is back."""

import operator
import random
import statistics
import threading
import time

import requests

from tests.chaos import kinds
from tests.chaos.history import Commit
from tests.chaos.stage import staged

ROWS, GROUPS = 40, 4
CLIENTS = 40
# Requests a second, to each of the two sites.
RATE = 25
# Seconds that a request may take longer where the push server is absent; by the median of
# as many parts of that time, or one moment of the machine would decide.
SLOWER = 0.010
PARTS = 6
# Of what a few parts alone suffer the median knows nothing: a request that takes so many seconds
# has stood still, which where the push server is absent one in a hundred more may at most.
STALL = 0.25
BACK_SECONDS = 5


def test_an_absent_push_server(tmp_path, size, figures):
    seconds = size(3, 60)
    for name in ("present", "absent"):
        (tmp_path / name).mkdir()
    with (
        staged(tmp_path / "present", rows=ROWS, groups=GROUPS) as present,
        staged(tmp_path / "absent", rows=ROWS, groups=GROUPS) as absent,
    ):
        sites = [Visitor(present), Visitor(absent)]
        for stage in (present, absent):
            stage.fleet.join(kinds.mixed(CLIENTS, ROWS, GROUPS))
        warm_up(sites)
        assert absent.live.push.stop() == 0
        save_for(seconds, sites)
        absent.live.start_push()
        back = absent.settle(BACK_SECONDS)
        present.settle(BACK_SECONDS)
        assert absent.history.told() == []
        assert "Traceback" not in absent.live.site.output
        # Of so few requests as the small size makes, the slowest say nothing.
        percent = size(90, 99)
        with_it, without_it = (
            [statistics.quantiles(part, n=100)[percent - 1] for part in each.parts(PARTS)]
            for each in sites
        )
        slower = statistics.median(map(operator.sub, without_it, with_it))
        assert slower <= SLOWER
        stalls, others = (sum(took > STALL for took in each.seconds) for each in reversed(sites))
        assert stalls <= others + max(1, len(sites[1].seconds) // 100)
        figures.say(
            3,
            f"push server absent for {seconds} s, {len(sites[1].seconds):,} requests that save",
            errors="0",
            **{
                f"p{percent}_with_it": f"{statistics.median(with_it) * 1000:.1f} ms",
                f"p{percent}_without_it": f"{statistics.median(without_it) * 1000:.1f} ms",
            },
            all_in_sync_after_its_return=f"{back:.1f} s",
        )


class Visitor:
    """Makes requests that save, and knows how long each took."""

    def __init__(self, stage):
        self.stage = stage
        self.seconds = []
        self._session = requests.Session()
        self._saved = stage.writer.final()
        self._version = max(row.version for row in self._saved.values())

    def parts(self, count):
        """How long the requests took, in so many parts of the time, one after another."""
        size = len(self.seconds) // count
        return [self.seconds[place * size : (place + 1) * size] for place in range(count)]

    def save(self):
        self._version += 1
        pk = 1 + self._version % ROWS
        row = self._saved[pk] = self._saved[pk]._replace(version=self._version)
        url = f"{self.stage.live.url}/save/{pk}/{self._version}/"
        began = time.monotonic()
        response = self._session.get(url, timeout=20)
        self.seconds.append(time.monotonic() - began)
        assert (response.status_code, response.text) == (200, "saved")
        self.stage.history.commits.append(Commit(pk, self._version, row, time.time()))


def warm_up(sites):
    """First requests of a process load what it needs; they are not measured."""
    for each in sites:
        for _ in range(RATE):
            each.save()
        each.seconds.clear()


def save_for(seconds, sites):
    """Let both save in turn, in one and the same time: then they differ by one thing only."""
    begin = time.monotonic()
    for turn in range(seconds * RATE):
        for each in random.sample(sites, 2):
            each.save()
        threading.Event().wait(max(0, begin + turn / RATE - time.monotonic()))
