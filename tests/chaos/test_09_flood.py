"""9. One instance is saved again and again: everybody ends on its last state."""

from tests.chaos import kinds
from tests.chaos.stage import memory, peak, staged

ROWS, GROUPS = 20, 2
HOT = 1
CLIENTS = 100
SECONDS = 20
# What the pages below have of it.
RENDERINGS = 3
# MiB that a process may have more during the flood than before it.
GROWTH = 40


def test_a_flood_of_saves(tmp_path, size, figures):
    # Of the saves, all kinds of rendering together: a shorter flood is a slower one.
    saves, rounds, fraction = size(3000, 100_000), 5, size(0.3, 0.15)
    watched = [kinds.item(HOT), kinds.listed("g1"), kinds.slow(HOT)]
    with staged(tmp_path, rows=ROWS, groups=GROUPS) as stage:
        stage.fleet.join(watched[number % len(watched)] for number in range(CLIENTS))
        pids = {"push server": stage.live.push.pid, "writer": stage.writer.pid}
        before = {name: memory(pid) for name, pid in pids.items()}
        # Several ends, for each is a chance to miss the last state.
        took = max(_flood(stage, saves // rounds) for _ in range(rounds))
        grown = {name: peak(pid) - before[name] for name, pid in pids.items()}
        assert all(each < GROWTH for each in grown.values()), grown
        renders = stage.metric('serverpush_job_seconds_count{job="render"')
        assert 0 < renders < fraction * saves
        figures.say(
            9,
            f"{saves:,} saves of one instance, {CLIENTS} watchers",
            renderings=f"{renders:,.0f} in all of {RENDERINGS} kinds",
            all_on_the_last_after=f"{took:.1f} s",
            **{
                f"{name} memory".replace(" ", "_"): f"{each:+.0f} MiB"
                for name, each in grown.items()
            },
        )


def _flood(stage, saves):
    stage.writer.do("flood", pk=HOT, count=saves)
    return stage.settle(SECONDS)
