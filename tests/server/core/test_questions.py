"""What renderers are asked, and asked again."""

from __future__ import annotations

import pytest

from serverpush.server.core.questions import LONGEST_PAUSE, Questions


@pytest.fixture
def questions():
    questions = Questions(4)
    for each in "abcdef":
        questions.ask(each)
    return questions


def take(questions):
    return "".join(questions.take(lambda _: True))


def test_some_at_a_time_in_their_order(questions):
    assert take(questions) == "abcd"
    assert take(questions) == "", "one job at a time"
    questions.taken()
    assert take(questions) == "ef"


def test_what_does_not_matter_any_more_is_left_out(questions):
    assert "".join(questions.take(lambda each: each in "bf")) == "bf"


def test_what_is_due_is_asked_once(questions):
    questions.ask("a")
    assert take(questions) == "abcd"
    questions.ask("a")
    questions.taken()
    assert take(questions) == "efa", "but again if it comes up while it is asked"


def test_up_to_where_all_is_answered(questions):
    assert (questions.answered, questions.last) == (0, 6)
    take(questions)
    assert questions.answered == 0
    questions.taken()
    assert questions.answered == 4
    take(questions)
    questions.ask("a")
    questions.taken()
    assert questions.answered == 6
    take(questions)
    questions.taken()
    assert questions.answered == questions.last == 7


def test_those_that_failed_wait_behind_the_others_and_come_in_smaller_jobs(questions):
    take(questions)
    questions.failed(0)
    assert questions.answered == 0, "their answers are still owed"
    questions.tick(0.9)
    assert take(questions) == ""
    questions.tick(1)
    assert take(questions) == "ef"
    questions.taken()
    assert take(questions) == "abcd", "the next may be larger again"


def test_one_that_can_not_be_answered_does_not_keep_the_others_waiting(questions):
    """As if whoever is asked for "a" hung."""
    now, answered = 0.0, set()
    for _ in range(12):
        now += LONGEST_PAUSE
        questions.tick(now)
        asked = take(questions)
        if "a" in asked:
            questions.failed(now)
        else:
            answered |= set(asked)
            questions.taken()
    assert answered == set("bcdef")


def test_those_without_an_answer_are_asked_again_later(questions):
    take(questions)
    questions.tick(1)
    questions.taken(["b"])
    assert questions.answered == 1
    assert take(questions) == "ef"
    questions.taken()
    questions.tick(2)
    assert take(questions) == "b"
    questions.taken(["b"])
    questions.tick(2 + LONGEST_PAUSE - 1)
    assert take(questions) == "", "not again at once"
    questions.tick(2 + LONGEST_PAUSE)
    assert take(questions) == "b"
    questions.taken()
    assert questions.answered == questions.last


def test_what_failed_before_the_clock_was_set_back_does_not_wait_for_it(questions):
    take(questions)
    questions.failed(5000)
    questions.tick(1000)
    assert take(questions) == "ef"


def test_nor_does_what_had_no_answer(questions):
    take(questions)
    questions.taken(["b"])
    questions.tick(5000)
    assert take(questions) == "efb"
    questions.taken(["b"])
    questions.tick(1000)
    assert take(questions) == "b"
