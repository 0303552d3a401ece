"""The fleet's clients wait, remember and refresh as js/src does."""

import re
from pathlib import Path

import pytest

from tests.chaos import script

SOURCES = Path(__file__).parents[2] / "js" / "src"
NUMBER = re.compile(r"[\d_]+")


def numbers(name, pattern):
    """The numbers of the first match in one of the script's sources."""
    found = re.search(pattern, (SOURCES / name).read_text())
    assert found, f"{name} has no {pattern}"
    return [int(each.replace("_", "")) for each in NUMBER.findall(found[0])]


BACKOFF = r"Backoff\(\{ min: [\d_]+, max: [\d_]+ \}\)"


@pytest.mark.parametrize(
    ("name", "pattern", "seconds"),
    [
        ("connection.js", rf"this\.backoff = backoff \?\? new {BACKOFF}", script.BACKOFF),
        (
            "connection.js",
            rf"this\.slowBackoff = slowBackoff \?\? new {BACKOFF}",
            script.SLOW_BACKOFF,
        ),
        ("refresh.js", rf"this\.backoff = backoff \?\? new {BACKOFF}", script.REFRESH_BACKOFF),
        ("connection.js", r"STEADY = [\d_]+", (script.STEADY,)),
        ("connection.js", r"timeout = [\d_]+", (script.CONNECT_TIMEOUT,)),
        ("refresh.js", r"JITTER = [\d_]+", (script.JITTER,)),
        (
            "backoff.js",
            r"limit = 5, window = [\d_]+, max = [\d_]+",
            (script.Throttle.limit / 1000, script.Throttle.window, script.Throttle.longest),
        ),
        ("replay.js", r"REMEMBERED = [\d_]+", (script.REMEMBERED / 1000,)),
    ],
)
def test_the_numbers_are_the_scripts(name, pattern, seconds):
    assert numbers(name, pattern) == [round(each * 1000) for each in seconds]


@pytest.mark.parametrize("pace", [1, 20, 59])
def test_a_sixth_refresh_in_a_row_waits(pace):
    throttle = script.Throttle()
    waits, now = [], 1000.0
    for _ in range(7):
        waits.append(throttle.next(now))
        now += waits[-1] + pace
    assert waits == [0] * 5 + [60, 120]


def test_refreshes_minutes_apart_never_wait():
    throttle = script.Throttle()
    assert [throttle.next(1000.0 + 61 * minute) for minute in range(50)] == [0] * 50


def test_the_first_wait_and_the_longest():
    backoff = script.Backoff((1.0, 8.0), spread=0)
    assert [backoff.next() for _ in range(5)] == [1, 2, 4, 8, 8]
    backoff.reset()
    assert backoff.next() == 1


def test_a_page_that_is_rendered_anew_is_told_of_updates_again_and_of_messages_not():
    replay = script.Replay("100.5")
    replay.take("update", "safe1")
    replay.take("message", "safe2", is_message=True)
    renewed = replay.renewed("101.5")
    assert renewed.since == "101.5"
    assert renewed.take("update", "safe1")
    assert not renewed.take("message", "safe2", is_message=True)


def test_what_was_applied_is_not_applied_again():
    replay = script.Replay("100.5")
    assert replay.since == "100.5"
    assert replay.take("b", "safe1")
    assert not replay.take("b", "safe2")
    assert replay.take("a", "safe1")
    assert replay.since == "safe2"
