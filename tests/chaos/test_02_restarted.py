"""2. The push server is restarted gracefully while the site writes: nobody has to refresh."""

from tests.chaos import kinds
from tests.chaos.stage import staged

ROWS, GROUPS = 120, 8
SECONDS = 30


def test_a_restarted_push_server(tmp_path, size, figures):
    writes, rate = size(200, 10_000), size(100, 220)
    clients, restarts = size(30, 200), size(1, 5)
    with staged(tmp_path, rows=ROWS, groups=GROUPS) as stage:
        stage.fleet.join(kinds.mixed(clients, ROWS, GROUPS))
        stage.write_through(lambda: _restart(stage.live), restarts, writes, rate)
        took = stage.settle(SECONDS)
        assert stage.history.told() == []
        figures.say(
            2,
            f"push server restarted {restarts} times during {writes:,} writes, {clients} clients",
            all_in_sync_after=f"{took:.1f} s",
            events=f"{len(stage.history.applied()):,}",
            pages_loaded_again="0",
        )


def _restart(live):
    assert live.push.stop() == 0
    live.start_push()
