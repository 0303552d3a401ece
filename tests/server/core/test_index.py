"""Which conditions a change can touch, and that none is kept for nobody."""

from __future__ import annotations

import pytest

from serverpush.protocol import Change, Condition, ModelInfo, Position
from serverpush.results import MatchResult
from serverpush.server.core.cohorts import Cohort
from serverpush.server.core.index import Index
from serverpush.server.core.watched import MAX_MOVES

from .world import MODELS, asking, where

ANY = Condition("shop.book")
NOW = Position(1, 1, "e")


@pytest.fixture
def index():
    return Index(MODELS)


COHORTS = {name: Cohort(name, [], []) for name in "ab"}


def watch(index, condition, watcher="a", keys=()):
    watched = index.watch(condition, keys, NOW)
    watched.watchers[COHORTS[watcher]] = [0]
    return watched


def certain(index, pk, model="shop.book"):
    return [each.condition for each in index.certain(Change(model, pk))]


def test_conditions_that_are_equal_are_one(index):
    assert watch(index, where(pk=1), "a") is watch(index, where(pk=1), "b")
    assert len(index) == 1


def test_a_key_and_any_are_certain(index):
    watch(index, where(pk=1))
    watch(index, ANY)
    assert certain(index, 1) == [where(pk=1), ANY]
    assert certain(index, 2) == [ANY]
    assert certain(index, 1, "shop.pen") == []


def test_a_change_reaches_the_conditions_of_the_whole_family():
    family = ("shop.book", "shop.novel")
    index = Index({label: ModelInfo(label, family, "integer") for label in family})
    watch(index, where(pk=1))
    assert certain(index, 1, "shop.novel") == [where(pk=1)]


def test_only_what_a_row_decides_is_asked(index):
    watch(index, where(pk=1))
    watch(index, ANY)
    assert index.asks("shop.book") == []
    watch(index, where(shelf=1))
    assert index.asks("shop.book") == ["shop.book"]


def test_one_question_names_the_fields_and_the_conditions(index):
    watch(index, where(shelf=1, title="x"))
    watch(index, where(shelf=2))
    asked = watch(index, asking(shelf=3))
    question = index.question("shop.book", 7)
    assert set(question.fields) == {"shelf", "title"}
    assert question.conditions == ((asked.number, asked.condition.query),)


def test_equalities_are_all_to_hold(index):
    both = watch(index, where(shelf=1, title="x"))
    one = watch(index, where(shelf=1))
    values = {"shelf": 1, "title": "y"}
    assert index.met("shop.book", MatchResult(values)) == [one]
    assert set(index.met("shop.book", MatchResult({"shelf": 1, "title": "x"}))) == {both, one}


def test_a_field_that_was_not_fetched_decides_nothing(index):
    watch(index, where(shelf=None))
    assert index.met("shop.book", MatchResult({"title": "x"})) == []


def test_nobody_watching_leaves_nothing(index):
    conditions = [where(pk=1), ANY, where(shelf=1), where(shelf=1, title="x"), asking(shelf=2)]
    for condition in conditions:
        watched = watch(index, condition, keys=(1, 2))
        watch(index, condition, "b")
        index.unwatch(watched, COHORTS["a"])
        assert len(index) == 1
        index.unwatch(watched, COHORTS["b"])
        index.unwatch(watched, COHORTS["b"])
    tables = {name: value for name, value in vars(index).items() if isinstance(value, dict)}
    del tables["models"]
    assert {name: value for name, value in tables.items() if any(value.values())} == {}


def test_membership_moves_and_tells_what_was(index):
    watched = watch(index, where(shelf=1), keys=(1,))
    positions = [Position(time, 1, "e") for time in (2, 3, 4)]
    index.move(watched, 2, True, positions[0])
    index.move(watched, 1, False, positions[1])
    assert watched.members == {2}
    assert index.members_of("shop.book", 1) == []
    assert [watched.was_member(1, each) for each in (NOW, *positions)] == [True, True, False, False]
    assert [watched.was_member(2, each) for each in (NOW, *positions)] == [False, True, True, True]


def test_before_the_moves_that_are_kept_nothing_is_known(index):
    watched = watch(index, where(shelf=1), keys=())
    for time in range(2, MAX_MOVES + 10):
        index.move(watched, time, True, Position(time, 1, "e"))
    assert watched.was_member(1, NOW) is None
    assert watched.was_member(1, Position(MAX_MOVES, 1, "e")) is False
