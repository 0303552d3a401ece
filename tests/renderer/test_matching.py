"""The database's answer, compared with what ``filter()`` says."""

import datetime as dt
import logging
import uuid
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.db.models import F, Q
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from serverpush.conditions import compile_condition
from serverpush.jobs import MatchJob
from serverpush.renderer import once
from serverpush.renderer.jobs import run
from serverpush.renderer.matching import match
from serverpush.results import MatchResult
from tests.project.models import Author, Book, BookProxy, Device, Note, Novel, Tag

STARTS_WITH_E = '["AND",0,[{"k":"title__startswith","v":"E"}]]'
NO_SUCH_FIELD = '["AND",0,[{"k":"nothing__startswith","v":"E"}]]'


def says(model, params, pk):
    """Does the instance meet ``params``, as push server and renderer find out together?"""
    condition = compile_condition(model, params)
    fields = tuple(field for field, _ in condition.equal)
    conditions = ((7, condition.query),) if condition.query else ()
    job = MatchJob(model._meta.label_lower, pk, fields, conditions)
    result = match(MatchJob.from_json(job.to_json()))
    result = MatchResult.from_json(result.to_json())
    if result.values is None:
        return False
    if condition.query:
        return 7 in result.met
    return all(result.values[field] == wanted for field, wanted in condition.equal)


def assert_as_filter(model, params):
    q = params if isinstance(params, Q) else Q(**params)
    meeting = set(model._default_manager.filter(q).values_list("pk", flat=True))
    for pk in model._base_manager.values_list("pk", flat=True):
        key = pk if isinstance(pk, int) else str(pk)
        assert says(model, params, key) == (pk in meeting), (params, pk)


@pytest.fixture
def library(db):
    ann, bob = Author.objects.create(name="Ann"), Author.objects.create(name="Bob", email="b@c.d")
    red, blue, old = (Tag.objects.create(name=name) for name in ("red", "blue", "old"))
    books = [
        Book.objects.create(title="Emma", author=ann, price="9.99", stock=3, minimum=5),
        Book.objects.create(title="emma", author=bob, price="10.00", stock=5, minimum=5),
        Book.objects.create(title="Persuasion", published=dt.date(2026, 1, 31), in_print=False),
        Book.objects.create(title="50% off_", author=ann, details={"pages": 7, "k": ["a"]}),
        Novel.objects.create(title="Dracula", author=bob, genre="horror", stock=-1),
    ]
    books[0].tags.set([red, blue])
    books[1].tags.set([red])
    books[3].tags.set([old])
    return books


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"title": "Emma"},
        {"title__iexact": "EMMA"},
        {"title__contains": "%"},
        {"title__in": ["Emma", "Dracula"]},
        {"title__in": []},
        {"title__regex": "^[Ee]"},
        {"title": "Emma", "stock": 3},
        {"stock": 5, "title__startswith": "e"},
        {"stock__gt": 2},
        {"stock__range": (0, 4)},
        {"stock__lt": F("minimum")},
        {"stock": F("minimum")},
        {"price": Decimal("9.99")},
        {"price__gte": Decimal("10")},
        {"published": dt.date(2026, 1, 31)},
        {"published": None},
        {"published__isnull": False},
        {"published__year": 2026},
        {"in_print": False},
        {"author": None},
        {"author__isnull": True},
        {"author__name": "Ann"},
        {"author__name__in": ["Ann", "Bob"], "in_print": True},
        {"author__email": ""},
        {"tags__name": "red"},
        {"tags__name__in": ["red", "blue"]},
        {"tags__isnull": True},
        {"details__pages": 7},
        {"details__pages__gt": 6},
        {"details": {"pages": 7, "k": ["a"]}},
        {"details__has_key": "k"},
        {"novel__genre": "horror"},
        {"novel__isnull": True},
        ~Q(title="Emma"),
        ~Q(tags__name="red"),
        ~Q(author__name="Ann"),
        Q(tags__name="red") & Q(tags__name="blue"),
        Q(tags__name="red") & ~Q(tags__name="blue"),
        Q(title="Emma") | Q(stock__lt=0),
        Q(title="Emma") ^ Q(stock=3),
        ~(Q(stock=3) | Q(author__name="Bob")),
        Q(pk__in=[]) | Q(title="Emma"),
        ~Q(pk__in=[]),
        Q(stock__lt=F("minimum")) & ~Q(tags__name="old"),
    ],
    ids=str,
)
def test_agrees_with_filter(library, params):
    assert_as_filter(Book, params)


def test_by_an_instance_and_a_list_of_them(library):
    ann = Author.objects.get(name="Ann")
    assert_as_filter(Book, {"author": ann})
    assert_as_filter(Book, {"author__in": [ann]})
    assert_as_filter(Book, {"tags": Tag.objects.get(name="old")})


def test_children_and_proxies(library):
    assert_as_filter(Novel, {"title__startswith": "D"})
    assert_as_filter(Novel, {"genre": "horror"})
    assert_as_filter(BookProxy, {"tags__name": "red"})


def test_uuid_keys(db):
    one, two = (Device.objects.create(name=name) for name in ("one", "two"))
    assert_as_filter(Device, {"name__startswith": "o"})
    assert_as_filter(Device, {"pk": one.pk})
    assert_as_filter(Device, {"pk__in": [one.pk, two.pk]})


def test_the_default_manager_decides_what_there_is(db):
    hidden = Note.everything.create(text="x", hidden=True)
    assert_as_filter(Note, {"text__startswith": "x"})
    assert match(MatchJob("project.note", hidden.pk, (), ())).values is None


@pytest.mark.parametrize(
    ("model", "pk"),
    [
        ("project.book", 999_999),
        ("project.book", "abc"),
        ("project.book", 10**30),
        ("project.device", "abc"),
        ("project.device", str(uuid.UUID(int=5))),
    ],
)
def test_no_such_row(db, model, pk):
    assert match(MatchJob(model, pk, ("pk",), ((1, '["AND",1,[]]'),))) == MatchResult(None)


def test_fetched_values_are_written_as_equalities_are(library):
    book = library[2]
    fields = ("pk", "title", "published", "author_id", "in_print")
    assert match(MatchJob("project.book", book.pk, fields, ())).values == {
        "pk": book.pk,
        "title": "Persuasion",
        "published": "2026-01-31",
        "author_id": None,
        "in_print": False,
    }


def test_one_query(library, django_assert_num_queries):
    conditions = tuple((number, STARTS_WITH_E) for number in range(100))
    with django_assert_num_queries(1):
        result = match(MatchJob("project.book", library[0].pk, ("title",), conditions))
    assert result.met == frozenset(range(100))


def test_more_conditions_than_one_query_takes(library, django_assert_num_queries):
    conditions = tuple((number, STARTS_WITH_E) for number in range(2500))
    with django_assert_num_queries(25):
        result = match(MatchJob("project.book", library[0].pk, (), conditions))
    assert result.met == frozenset(range(2500))


def test_a_bad_condition_spoils_no_other_and_is_logged_once(library, caplog):
    job = MatchJob("project.book", library[0].pk, (), ((1, STARTS_WITH_E), (2, NO_SUCH_FIELD)))
    results = [match(job), match(job)]
    assert results == [MatchResult({}, frozenset({1}), frozenset({2}))] * 2
    assert len(caplog.records) == 1
    assert "nothing__startswith" in caplog.text


def test_a_condition_that_the_database_refuses(library, caplog):
    bad = '["AND",0,[{"k":"title__regex","v":"("}]]'
    job = MatchJob("project.book", library[0].pk, ("stock",), ((1, bad), (2, STARTS_WITH_E)))
    assert match(job) == MatchResult({"stock": 3}, frozenset({2}), frozenset({1}))


def test_a_database_that_cannot_be_asked_is_no_missing_row(chain, db, caplog):
    def down(*args):
        raise OperationalError("gone away")

    with connection.execute_wrapper(down):
        result = run(chain, MatchJob("project.book", 1, (), ((1, STARTS_WITH_E),)))
    assert "gone away" in result.error
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_an_unknown_model_is_an_error(chain, db, caplog):
    assert "no model 'project.nothing'" in run(chain, MatchJob("project.nothing", 1, (), ())).error


LOOKUPS = st.one_of(
    st.tuples(st.just("title"), st.sampled_from(["", "a", "A", "ab"])),
    st.tuples(st.just("title__icontains"), st.sampled_from(["a", "B", "%"])),
    st.tuples(st.just("title__in"), st.lists(st.sampled_from(["a", "A"]))),
    st.tuples(st.sampled_from(["stock", "stock__lte", "minimum__gt"]), st.integers(-1, 2)),
    st.tuples(st.sampled_from(["stock", "stock__lt"]), st.just(F("minimum"))),
    st.tuples(st.just("author__name"), st.sampled_from(["a", "b"])),
    st.tuples(st.sampled_from(["author__isnull", "tags__isnull", "in_print"]), st.booleans()),
    st.tuples(st.sampled_from(["tags__name", "tags__name__startswith"]), st.sampled_from("ab")),
    st.tuples(st.just("tags__name__in"), st.lists(st.sampled_from("ab"))),
    st.tuples(st.just("published__gt"), st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 3))),
)
CONDITIONS = st.recursive(
    LOOKUPS.map(lambda pair: Q(**{pair[0]: pair[1]})),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda q: ~q),
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {
        "title": st.sampled_from(["", "a", "A", "ab", "%"]),
        "stock": st.integers(-1, 2),
        "minimum": st.integers(-1, 2),
        "in_print": st.booleans(),
        "published": st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 3)),
        "author": st.none() | st.sampled_from("ab"),
        "tags": st.sets(st.sampled_from("ab")),
    }
)


class AnyCondition(TestCase):
    @given(st.lists(ROWS, min_size=1, max_size=4), st.lists(CONDITIONS, min_size=1, max_size=3))
    @settings(max_examples=60, deadline=None)
    def test_agrees_with_filter(self, rows, conditions):
        authors = {name: Author.objects.create(name=name) for name in "ab"}
        tags = {name: Tag.objects.create(name=name) for name in "ab"}
        for row in rows:
            author = authors.get(row["author"])
            plain = {key: value for key, value in row.items() if key not in ("author", "tags")}
            book = Book.objects.create(**plain, author=author)
            book.tags.set([tags[name] for name in row["tags"]])
        for q in conditions:
            assert_as_filter(Book, q)


def test_logging_starts_anew(library, caplog):
    job = MatchJob("project.book", library[0].pk, (), ((2, NO_SUCH_FIELD),))
    match(job)
    once.forget()
    match(job)
    assert len(caplog.records) == 2
