"""8. Thousands of clients are dropped, and come back all at once.

Some pages are for one session each. Nobody is asked about these as they come back; but a
sweep looks at all of them every 30 seconds, and at those who were away in one as soon as
they are back: many in one query.
"""

from serverpush.server.core.access import MAX_VISITS
from tests.chaos import kinds
from tests.chaos.stage import staged

ROWS, GROUPS = 100, 10
AWAY = 20
FEW = 50
"""Looks at a part of the visitors in one phase: they come back over some seconds."""
SECONDS = 60


def test_dropped_clients(tmp_path, size, figures):
    clients, visitors = size(100, 5000), size(10, 500)
    with staged(tmp_path, rows=ROWS, groups=GROUPS) as stage:
        # The last of the rows is not one of those that change.
        own = [kinds.own(ROWS, each) for each in stage.sessions(visitors)]
        stage.fleet.join([*kinds.mixed(clients - visitors, ROWS, GROUPS), *own])
        figures.say(
            8,
            f"{clients:,} clients dropped and back, {visitors} with a session each",
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
    queries, looks = _apart(stage.queries()[asked:])
    assert queries == []
    return f"in sync after {took:.1f} s, 0 queries{_told(looks)}"


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
    queries, looks = _apart(stage.queries()[asked:])
    assert queries
    for sql, params in queries:
        is_listing = '"group" = %s' in sql and len(params) == 1
        assert is_listing or params[-1] in changed, f"{sql} {params}"
    # By far not one for each client: what they miss is rendered for many at once.
    assert len(queries) < max(clients, 100 * AWAY)
    return (
        f"in sync after {took:.1f} s, {len(queries):,} queries to render {AWAY} changed "
        f"instances{_told(looks)}"
    )


def _apart(queries):
    """All queries but those that look at sessions, and how many at a time those did."""
    looks = [params for sql, params in queries if _is_look(sql)]
    # Whatever came in between: all of them in few queries.
    assert sum(len(each) <= MAX_VISITS // 2 for each in looks) <= FEW
    return [each for each in queries if not _is_look(each[0])], [len(each) - 1 for each in looks]


def _is_look(sql):
    return 'FROM "django_session"' in sql and " IN (" in sql


def _told(looks):
    return f", {len(looks)} looks at {sum(looks)} sessions" if looks else ""
