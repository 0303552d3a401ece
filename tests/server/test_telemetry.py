"""Telemetry: one line an event, no more than an operator can read, and metrics."""

from __future__ import annotations

import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serverpush.server.telemetry import MAX_LINES, Telemetry


@pytest.fixture
def telemetry(caplog):
    caplog.set_level(logging.DEBUG, "serverpush.server")
    return Telemetry()


def samples(telemetry):
    """Each sample's value, by its name and labels."""
    return {
        (sample.name, *(each for _, each in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(telemetry.metrics().decode())
        for sample in family.samples
    }


def test_a_line_is_an_event_and_its_fields(telemetry, caplog):
    telemetry.connected("c1", "/news/", "7", "::1")
    assert caplog.messages == ["connect client=c1 page=/news/ user=7 address=::1"]
    assert caplog.records[0].serverpush == {
        "event": "connect",
        "client": "c1",
        "page": "/news/",
        "user": "7",
        "address": "::1",
    }


@pytest.mark.parametrize("path", ["/a b/", '/"/', "/a\nend reason=fake/", "/x=y/", "/ü/", ""])
def test_no_field_can_be_taken_for_another(telemetry, caplog, path):
    telemetry.connected("c1", path, "", "::1")
    (line,) = caplog.messages
    assert "\n" not in line
    assert line.startswith('connect client=c1 page="')
    assert line.endswith('" user="" address=::1')


def test_refreshes_are_told_once_a_second_by_their_reasons(telemetry, caplog):
    for _ in range(1000):
        telemetry.refreshed("gap", 1)
    telemetry.refreshed("error", 3)
    assert caplog.messages == []
    telemetry.tick()
    assert caplog.messages == ["refresh reason=gap clients=1000", "refresh reason=error clients=3"]
    telemetry.tick()
    assert len(caplog.messages) == 2


def test_of_many_lines_of_a_kind_only_the_number_is_told(telemetry, caplog):
    for number in range(MAX_LINES + 5):
        telemetry.refused("bad_token", f"10.0.0.{number}")
    telemetry.gap("overflow")
    telemetry.tick()
    assert len(caplog.messages) == MAX_LINES + 2
    assert caplog.messages[-1] == "refuse left_out=5"
    telemetry.refused("bad_token", "10.0.0.1")
    assert caplog.messages[-1] == "refuse code=bad_token address=10.0.0.1"


def test_a_slow_client_is_a_warning_and_one_that_leaves_is_not(telemetry, caplog):
    telemetry.closed("c1", "slow")
    telemetry.closed("c2", "transport closed")
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.DEBUG]


def test_metrics(telemetry):
    telemetry.connected("c1", "/", "", "::1")
    telemetry.refused("bad_token", "::1")
    telemetry.closed("c1", "slow")
    telemetry.ended(2, "logout")
    telemetry.changed(5)
    telemetry.emitted(10, 0.02)
    telemetry.refreshed("gap", 4)
    telemetry.gap("overflow")
    telemetry.rejected("/x", "::1", 404, "there is none")
    telemetry.worked("render", "done", 0.003)
    telemetry.replaced(12, "timeout")
    telemetry.watch("connections", "Connections", lambda: 3)
    found = samples(telemetry)
    expected = {
        ("serverpush_connects_total",): 1,
        ("serverpush_refusals_total", "bad_token"): 1,
        ("serverpush_closes_total", "slow"): 1,
        ("serverpush_ends_total", "logout"): 2,
        ("serverpush_changes_total",): 5,
        ("serverpush_deliveries_total",): 10,
        ("serverpush_commit_to_emit_seconds_count",): 1,
        ("serverpush_refreshes_total", "gap"): 4,
        ("serverpush_gaps_total",): 1,
        ("serverpush_rejected_calls_total", "404"): 1,
        ("serverpush_job_seconds_count", "render", "done"): 1,
        ("serverpush_renderers_replaced_total", "timeout"): 1,
        ("serverpush_connections",): 3,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["serverpush_job_seconds_bucket", "render", "0.005", "done"] == 1
    assert found["serverpush_job_seconds_bucket", "render", "0.0025", "done"] == 0


def test_a_replay_says_nothing_of_how_long_it_takes(telemetry):
    telemetry.emitted(3, None)
    found = samples(telemetry)
    assert found["serverpush_deliveries_total",] == 3
    assert found["serverpush_commit_to_emit_seconds_count",] == 0


def test_what_failed_is_one_line_whatever_is_in_it(telemetry, caplog):
    telemetry.failed("shop.device 'a\nend reason=forged\x1b[2J': it broke" + "!" * 5000)
    (line,) = caplog.messages
    assert line.startswith("shop.device 'a\\nend reason=forged\\x1b[2J': it broke!")
    assert len(line) < 1100


def test_of_many_failures_only_the_number_is_told(telemetry, caplog):
    for _ in range(MAX_LINES + 3):
        telemetry.failed("it broke")
    telemetry.tick()
    assert caplog.messages[MAX_LINES:] == ["failure left_out=3"]


def test_a_clock_that_is_ahead_makes_no_negative_time(telemetry):
    telemetry.emitted(1, -0.5)
    assert samples(telemetry)["serverpush_commit_to_emit_seconds_sum",] == 0
