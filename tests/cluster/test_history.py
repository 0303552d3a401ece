"""Several push servers, behind nginx, while they and Redis fail in turn: no client stays behind.

``make chaos-cluster`` runs it at full size.
"""

from __future__ import annotations

import itertools
import signal
import time
from contextlib import ExitStack

import pytest

from serverpush.tokens import sign_topic
from tests.chaos import kinds
from tests.chaos.conftest import Size
from tests.chaos.fleet import Fleet
from tests.chaos.stage import SETTINGS, Stage, Writer, raise_limit
from tests.cluster.front import Front
from tests.cluster.redis import RedisServer
from tests.live.processes import Live

ROWS, GROUPS = 120, 8
SECONDS = 60
CHANNEL = "notes"


class ClusterStage(Stage):
    """A stage with several push servers, of which ``live`` is the first."""

    def __init__(self, folder, rows, groups, servers):
        super().__init__(folder, rows, groups)
        self._folder = folder
        self.redis = RedisServer(folder / "redis")
        environ = {**SETTINGS, "LIVE_BACKEND": self.redis.url}
        self.live.environ |= environ
        others = [Live(folder, {**self.live.environ}) for _ in range(servers - 1)]
        self.servers = [self.live, *others]

    def start(self):
        self.redis.start()
        self.live.start()
        for each in self.servers[1:]:
            each.start_push()
        self.front = Front(self._folder / "front", [each.port for each in self.servers])
        self.writer = Writer(self.live, self.history)
        self.writer.do("seed", rows=self.rows, groups=self.groups)
        token = sign_topic(f"channel:{CHANNEL}", "", "")
        self.fleet = Fleet(self.live.site_port, self.front.port, self.history, token)

    def stop(self):
        with ExitStack() as ending:
            ending.callback(self.redis.stop)
            for each in self.servers[1:]:
                ending.callback(each.stop)
            if hasattr(self, "front"):
                ending.callback(self.front.stop)
            ending.callback(super().stop)

    # Faults

    def kill(self, number):
        """End one server at once, and start it again."""
        server = self.servers[number % len(self.servers)]
        server.push.stop(signal.SIGKILL)
        server.start_push()

    def restart(self, number):
        """Let one server end well, and start it again."""
        server = self.servers[number % len(self.servers)]
        assert server.push.stop() == 0
        server.start_push()

    def restart_redis(self):
        self.redis.restart()

    def pause_redis(self, seconds):
        self.redis.pause()
        # The fault itself: nothing is waited for.
        time.sleep(seconds)
        self.redis.resume()


@pytest.fixture
def stage(tmp_path):
    raise_limit()
    stage = ClusterStage(tmp_path, ROWS, GROUPS, servers=3)
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()


@pytest.fixture
def size(request):
    return Size(request.config.getoption("--full"))


def test_servers_and_redis_fail_in_turn(stage, size, capsys):
    # More would be more than two cores can render three times.
    writes, rate, notes = size(450, 10_000), 15, 22
    clients, pause = size(15, 300), size(3, 10)
    kills, restarts, pauses = size((1, 1, 1), (6, 5, 3))
    deploys = size(1, 3)
    stage.fleet.join(kinds.mixed(clients, ROWS, GROUPS))
    # Each kind goes round all servers by itself.
    killed, restarted = itertools.count(), itertools.count(1)
    faults = [lambda: stage.kill(next(killed))] * kills
    faults += [lambda: stage.restart(next(restarted))] * deploys
    faults += [stage.restart_redis] * restarts
    faults += [lambda: stage.pause_redis(pause)] * pauses
    # In turn, of each kind its share.
    faults = [faults[number * 3 % len(faults)] for number in range(len(faults))]
    todo = iter(faults)
    stage.write_through(
        lambda: next(todo)(), len(faults), writes, rate, notes=notes, channel=CHANNEL
    )
    took = stage.settle(SECONDS)
    told = len(stage.history.told())
    heard = len([each for each in stage.history.sent if each.is_committed])
    what = f"{clients} clients, {writes:,} writes, {heard:,} channel messages"
    done = f"servers killed {kills} times, restarted {deploys}; Redis restarted {restarts} times, "
    done += f"paused {pauses} times for {pause} s"
    came = f"all in sync after {took:.1f} s, events {len(stage.history.applied()):,}, "
    came += f"pages loaded again {told}"
    with capsys.disabled():
        print(f"\ncluster: three push servers: {what}: {done}: {came}")
    assert told == 0
    assert heard >= size(50, 2_000)
