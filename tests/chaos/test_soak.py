"""Clients come and go: nothing of them stays. ``make soak`` does it for 20 minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from tests.live.processes import ROOT

from .soak.chart import chart
from .soak.run import Plan, Soak
from .soak.watch import Holding, Sample, problems

QUIET = Sample(0, 0, Holding(60_000_000, 20, 3), {7: Holding(80_000_000, 9, 1)})


def test_it_is_a_command_that_needs_no_settings():
    environ = {name: each for name, each in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "tests.chaos.soak", "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--minutes" in done.stdout


def test_nothing_stays_of_clients_that_come_and_go(tmp_path, capsys):
    plan = Plan(clients=30, warm_up=3, seconds=6, quiet=2, stay=1.5, every=1, batches=50)
    outcome = Soak(tmp_path, plan, lambda line: None).run()
    with capsys.disabled():
        print(f"\nsoak: {plan.total:.0f} s: {outcome.figures()}")
    assert outcome.problems == []
    counted = outcome.counted
    assert min(counted[name] for name in ("lives", "events", "saves", "refused", "messages")) > 4
    assert max(each.push.files for each in outcome.samples) > outcome.before.push.files
    ElementTree.fromstring(chart(outcome.samples, "soak"))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (replace(QUIET, push=Holding(60_000_000, 21, 3)), "had 20 files, has 21"),
        (replace(QUIET, push=Holding(60_000_000, 20, 4)), "had 3 threads, has 4"),
        (replace(QUIET, push=Holding(65_100_000, 20, 3)), "grew from 60.0 MB to 65.1 MB"),
        (replace(QUIET, renderers={7: Holding(80_000_000, 10, 1)}), "renderer 7 had 9 files"),
        (replace(QUIET, renderers={8: QUIET.renderers[7]}), "renderers were replaced"),
    ],
)
def test_what_has_grown_is_told(after, told):
    (problem,) = problems(QUIET, after)
    assert told in problem


def test_what_has_not_grown_is_not_told():
    after = replace(QUIET, push=Holding(64_900_000, 20, 3))
    assert problems(QUIET, after) == []
