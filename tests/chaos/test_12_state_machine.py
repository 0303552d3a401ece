"""The state machines over the core: never a wrong "you are up to date", no message lost."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.server.core.test_messages_machine import Messages
from tests.server.core.test_state_machine import FATES, STEPS, TROUBLES, Pages

# Each of the guarantees' words, and what else can go wrong, by the rules that do it.
WORDS = {
    "append": "report",
    "connect": "come",
    "drop": "drop",
    "render late": "end_late",
    **{word: word for word in (*FATES, *TROUBLES)},
}


def test_no_client_is_told_that_it_is_up_to_date_when_it_is_not(size, figures):
    examples, steps = size((50, 40), (1_800, 60))
    began = time.monotonic()
    before = STEPS.copy()
    for machine in (Pages, Messages):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    made = STEPS - before
    counts = {word: made[rule] for word, rule in WORDS.items()}
    assert made["examples"] >= examples
    assert made["examples of messages"] >= examples
    # In few examples the rare ones may not come at all.
    assert min(counts.values()) > examples / 50 or not size.is_full, counts
    figures.say(
        12,
        "Hypothesis over the core",
        examples=f"{made['examples']:,}",
        steps=f"{sum(made.values()) - made['examples'] - made['examples of messages']:,}",
        of_messages=f"{made['examples of messages']:,}",
        messages=f"{made['send']:,}",
        **{word.replace(" ", "_"): f"{count:,}" for word, count in counts.items()},
        wrong="0",
        took=f"{time.monotonic() - began:.1f} s",
    )
