"""8. Thousands of clients are dropped, and come back all at once."""

from tests.chaos import kinds
from tests.chaos.stage import staged

ROWS, GROUPS = 100, 10
AWAY = 20
SECONDS = 60


def test_dropped_clients(tmp_path, size, figures):
    clients = size(200, 5000)
    with staged(tmp_path, rows=ROWS, groups=GROUPS) as stage:
        stage.fleet.join(kinds.mixed(clients, ROWS, GROUPS))
        figures.say(
            8,
            f"{clients:,} clients dropped and back",
            with_nothing_changed=_unchanged(stage, clients),
            with_changes_meanwhile=_cut(stage, clients),
            by_a_restart_with_changes_meanwhile=_restarted(stage, clients),
        )
        assert stage.history.told() == []


def _unchanged(stage, clients):
    asked, connects = len(stage.queries()), stage.fleet.connects()
    stage.fleet.cut()
    took = stage.settle(SECONDS)
    assert stage.fleet.connects() >= connects + clients
    assert stage.queries()[asked:] == []
    return f"in sync after {took:.1f} s, 0 queries"


def _cut(stage, clients):
    pks = changed = range(1, 1 + AWAY)
    asked = len(stage.queries())
    stage.fleet.suspend()
    stage.writer.do("touch", pks=list(pks))
    stage.fleet.resume()
    return _settled(stage, changed, asked, clients)


def _restarted(stage, clients):
    pks = range(1 + AWAY, 1 + 2 * AWAY)
    # All that changed since the pages were rendered: their own lists are older.
    changed = range(1, 1 + 2 * AWAY)
    asked = len(stage.queries())
    assert stage.live.push.stop() == 0
    stage.writer.do("touch", pks=list(pks))
    stage.live.start_push()
    return _settled(stage, changed, asked, clients)


def _settled(stage, changed, asked, clients):
    """Wait; then nothing may have been asked but what the changed instances are now."""
    took = stage.settle(SECONDS)
    queries = stage.queries()[asked:]
    assert queries
    for sql, params in queries:
        is_listing = '"group" = %s' in sql and len(params) == 1
        assert is_listing or params[-1] in changed, f"{sql} {params}"
    # By far not one for each client: what they miss is rendered for many at once.
    assert len(queries) < max(clients, 100 * AWAY)
    return (
        f"in sync after {took:.1f} s, {len(queries):,} queries to render {AWAY} changed instances"
    )
