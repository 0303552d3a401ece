"""1. The push server is killed while the site writes: no client stays behind."""

import signal

from tests.chaos import kinds
from tests.chaos.stage import staged

ROWS, GROUPS = 120, 8
SECONDS = 30


def test_a_killed_push_server(tmp_path, size, figures):
    writes, rate = size(200, 10_000), size(100, 220)
    clients, kills = size(30, 200), size(1, 5)
    with staged(tmp_path, rows=ROWS, groups=GROUPS) as stage:
        stage.fleet.join(kinds.mixed(clients, ROWS, GROUPS))
        stage.write_through(lambda: _kill(stage.live), kills, writes, rate)
        took = stage.settle(SECONDS)
        told = len(stage.history.told())
        assert told >= clients, "a killed log can't be replayed"
        figures.say(
            1,
            f"push server killed {kills} times during {writes:,} writes, {clients} clients",
            all_in_sync_after=f"{took:.1f} s",
            events=f"{len(stage.history.applied()):,}",
            pages_loaded_again=f"{told:,}",
        )


def _kill(live):
    live.push.stop(signal.SIGKILL)
    live.start_push()
