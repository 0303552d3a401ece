"""4. What is rolled back is never told."""

from tests.chaos import kinds
from tests.chaos.stage import staged

ROWS, GROUPS = 20, 2
CLIENTS = 40
SECONDS = 10


def test_rolled_back_transactions(tmp_path, size, figures):
    count = size(200, 1000)
    with staged(tmp_path, rows=ROWS, groups=GROUPS) as stage:
        stage.fleet.join(kinds.mixed(CLIENTS, ROWS, GROUPS))
        stage.writer.do("take_back", count=count)
        # The outbox keeps the order: what would be told of them comes before this.
        mark = 1
        stage.writer.do("touch", pks=[mark])
        took = stage.settle(SECONDS)
        assert {each.pk for each in stage.history.applied()} == {mark}
        assert stage.metric("serverpush_changes_total") == 1
        # They do hear: each of them, of each instance.
        stage.writer.do("touch", pks=list(range(1, ROWS + 1)))
        stage.settle(SECONDS)
        assert all(stage.history.heard())
        figures.say(
            4,
            f"{count:,} transactions and savepoints rolled back, {CLIENTS} clients",
            events="0",
            a_real_commit_after_them_arrived_in=f"{took:.1f} s",
        )
