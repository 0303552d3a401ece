"""An encoded condition decides exactly as ``filter()`` does."""

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal

import pytest
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.functional import lazystr
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from serverpush.conditions import (
    compile_condition,
    condition_q,
    decode_value,
    encode_value,
    plain_value,
)
from serverpush.exceptions import InvalidUpdate
from serverpush.labels import key_of
from serverpush.listing import matching_keys
from serverpush.protocol import Condition, dump
from tests.project.models import Author, Book, Club, Device, Membership, Note, Novel, Tag

pytestmark = pytest.mark.django_db


class Colour(enum.Enum):
    RED = "red"


class Title(str, enum.Enum):  # noqa: UP042 - a StrEnum is its value already
    EMMA = "Emma"


class Stock(enum.IntEnum):
    TWO = 2


class Choice(models.TextChoices):
    EMMA = "Emma"


@pytest.fixture(autouse=True)
def rows(db):
    jane, emily = Author.objects.create(name="Jane"), Author.objects.create(name="Emily")
    new, used = Tag.objects.create(name="new"), Tag.objects.create(name="used")
    day = dt.date(2020, 2, 29)
    for number, title in enumerate(["Emma", "emma", "Emma ", "", "ß", "7", "red"]):
        book = Book.objects.create(
            title=title,
            author=[jane, emily, None][number % 3],
            price=Decimal(number) / 2,
            published=None if number == 3 else day + dt.timedelta(days=number),
            in_print=bool(number % 2),
            stock=number,
            minimum=3,
            details={"pages": number, "colours": ["red"]} if number % 2 else {},
        )
        book.tags.set([[new], [used], [new, used], []][number % 4])
    novel = Novel.objects.create(title="Wuthering", author=emily, genre="gothic", stock=9)
    novel.tags.set([new])
    for number in range(3):
        Device.objects.create(pk=uuid.UUID(int=number), name=f"d{number}")
    club = Club.objects.create(name="Readers")
    Membership.objects.create(club=club, tag=used)
    Note.objects.create(text="seen")
    Note.everything.create(text="unseen", hidden=True)
    return {"jane": jane, "emily": emily, "new": new, "used": used, "club": club}


def found(model, q):
    return set(model._default_manager.filter(q).values_list("pk", flat=True))


def through_json(condition):
    return Condition.from_json(json.loads(dump(condition.to_json())))


def check(model, params):
    """Compare what ``params`` selects directly, encoded, and by its plain equalities."""
    q = params if isinstance(params, Q) else Q(**params)
    condition = through_json(compile_condition(model, params))
    direct = found(model, q)
    assert found(model, condition_q(condition)) == direct
    if not condition.query:
        fields = [field for field, _ in condition.equal]
        equal = {
            row["pk"]
            for row in model._default_manager.values("pk", *fields)
            if all(plain_value(row[field]) == wanted for field, wanted in condition.equal)
        }
        assert equal == direct
    for _ in range(2):
        # The second time by a statement that is kept, if there is one.
        listed = matching_keys(model, condition)
        assert listed is None or set(listed) == set(map(key_of, direct))
    if condition.guard:
        fields = {field for field, _ in condition.guard}
        rows = model._default_manager.filter(pk__in=direct).values(*fields)
        for row in rows:
            values = {field: plain_value(value) for field, value in row.items()}
            assert any(values[field] == wanted for field, wanted in condition.guard)
    return condition, direct


@pytest.mark.parametrize(
    ("q", "guard"),
    [
        (Q(stock=1) | Q(stock=2), {("stock", 1), ("stock", 2)}),
        (Q(stock__in=[1, "2", None]), {("stock", 1), ("stock", 2)}),
        (Q(author=3, price__gt=2), {("author_id", 3)}),
        (Q(Q(author=3) | Q(author=4), price__gt=2, in_print=True), {("in_print", True)}),
        (Q(price__gt=2) & Q(Q(author=3) | Q(stock=4)), {("author_id", 3), ("stock", 4)}),
        (Q(author=None, price__gt=2), {("author_id", None)}),
        (~Q(stock=1) & Q(author=3), {("author_id", 3)}),
        (~Q(stock=1), set()),
        (Q(stock=1) ^ Q(stock=2), set()),
        (Q(stock=1) | Q(price__gt=2), set()),
        (Q(price__gt=2), set()),
        (Q(author__name="Jane"), set()),
        (Q(stock__in=range(100)), set()),
        (Q(stock__in=list(range(11))), set()),
        (Q(stock__in=[]), set()),
    ],
)
def test_equalities_of_which_one_has_to_hold(q, guard):
    assert set(compile_condition(Book, q).guard) == guard


DAY = dt.date(2020, 3, 1)
NOON = dt.datetime(2020, 3, 1, 12, tzinfo=dt.UTC)

PLAIN = [
    (Book, {"pk": 1}),
    (Book, {"id": "1"}),
    (Book, {"pk__exact": 1}),
    (Book, {"pk": 10**30}),
    (Book, {"title": "Emma"}),
    (Book, {"title": ""}),
    (Book, {"title": "ß"}),
    (Book, {"title": 7}),
    (Book, {"title": Title.EMMA}),
    (Book, {"title": Choice.EMMA}),
    (Book, {"title": lazystr("Emma")}),
    (Book, {"stock": 2}),
    (Book, {"stock": "2"}),
    (Book, {"stock": 2.0}),
    (Book, {"stock": True}),
    (Book, {"stock": Stock.TWO}),
    (Book, {"stock": 10**30}),
    (Book, {"in_print": True}),
    (Book, {"in_print": 0}),
    (Book, {"in_print": "True"}),
    (Book, {"published": DAY}),
    (Book, {"published": "2020-03-01"}),
    (Book, {"published": NOON}),
    (Book, {"published": None}),
    (Book, {"author": None}),
    (Book, {"author": 1}),
    (Book, {"author_id": 1}),
    (Book, {"author": 1, "in_print": False}),
    (Book, Q(stock=2) & Q(in_print=False)),
    (Book, Q(Q(stock=2)) | Q(stock=2)),
    (Book, {}),
    (Novel, {"book_ptr": 8}),
    (Novel, {"title": "Wuthering"}),
    (Device, {"pk": uuid.UUID(int=1)}),
    (Device, {"id": str(uuid.UUID(int=1))}),
    (Device, {"pk": uuid.UUID(int=1).hex}),
    (Note, {"hidden": True}),
    (Note, {"text": "unseen"}),
    (Note, {}),
]

QUERIES = [
    (Book, {"stock__gt": 2}),
    (Book, {"stock__in": [1, 2, 3]}),
    (Book, {"stock__in": {1, 2}}),
    (Book, {"stock__in": range(3)}),
    (Book, {"stock__in": []}),
    (Book, {"stock__range": (1, 3)}),
    (Book, {"title__in": [Title.EMMA, "red"]}),
    (Book, {"title__icontains": "EM"}),
    (Book, {"title__regex": "^[Ee]m"}),
    (Book, {"published__isnull": True}),
    (Book, {"published__year": 2020}),
    (Book, {"published__gte": DAY}),
    (Book, {"published__in": [DAY, None]}),
    (Book, {"price": Decimal("1.5")}),
    (Book, {"price": 1.5}),
    (Book, {"price__lt": Decimal("1.50")}),
    (Book, {"stock": F("minimum")}),
    (Book, {"stock__gte": F("minimum")}),
    (Book, {"title": F("author__name")}),
    (Book, {"author__name": "Jane"}),
    (Book, {"author__pk": 1}),
    (Book, {"author__isnull": True}),
    (Book, {"tags": 1}),
    (Book, {"tags__name": "new"}),
    (Book, {"tags__name__in": ("new", "used")}),
    (Book, {"novel__genre": "gothic"}),
    (Book, {"details": {}}),
    (Book, {"details": {"pages": 1, "colours": ["red"]}}),
    (Book, {"details__pages": 1}),
    (Book, {"details__colours": ["red"]}),
    (Book, {"details__has_key": "pages"}),
    (Author, {"book__title": "Emma"}),
    (Author, {"book__published__gt": DAY}),
    (Book, ~Q(stock=2)),
    (Book, ~Q(author=1)),
    (Book, ~Q(tags__name="new")),
    (Book, Q(stock=1) | Q(stock=2)),
    (Book, Q(stock=1) ^ Q(in_print=True)),
    (Book, Q(stock=1) & Q(stock=2)),
    (Book, (Q(stock=1) | Q(title="red")) & ~Q(Q(in_print=True) | ~Q(author=None))),
    (Book, Q(published__gt=DAY) & Q(tags=1) & Q(tags=2)),
]


@pytest.mark.parametrize(("model", "params"), PLAIN, ids=str)
def test_plain_equalities_decide_without_the_database(model, params):
    condition, _ = check(model, params)
    assert not condition.query or "OR" in str(params)


@pytest.mark.parametrize(("model", "params"), QUERIES, ids=str)
def test_everything_else_asks_it(model, params):
    condition, _ = check(model, params)
    assert condition.query


def test_the_rows_can_tell_the_conditions_apart():
    """So that comparing what is found means something."""
    cases = [*PLAIN, *QUERIES]
    counts = [len(check(model, params)[1]) for model, params in cases]
    assert sum(count > 0 for count in counts) > len(cases) * 0.7
    assert len(set(counts)) > 5


@pytest.mark.parametrize("lookup", ["author", "author__exact", "author__gt", "author__in"])
@pytest.mark.parametrize("negated", [False, True])
def test_an_instance_is_its_key(rows, lookup, negated):
    value = [rows["jane"]] if lookup.endswith("in") else rows["jane"]
    q = Q(**{lookup: value})
    check(Book, ~q if negated else q)


def test_an_instance_across_relations(rows):
    check(Book, {"tags": rows["new"]})
    check(Book, {"tags__in": [rows["new"], rows["used"]]})
    check(Author, {"book__tags": rows["new"]})
    check(Author, {"book": Book.objects.get(title="Emma")})
    check(Author, {"book__in": list(Book.objects.all())})


@pytest.mark.parametrize("lookup", ["tag", "tag__in"])
def test_an_instance_that_is_referred_to_by_another_field(rows, lookup):
    value = [rows["used"]] if lookup.endswith("in") else rows["used"]
    _, pks = check(Membership, {lookup: value})
    assert len(pks) == 1
    check(Membership, ~Q(**{lookup: value}))
    check(Club, {"membership__tag": rows["used"]})


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        1.5,
        "a$",
        dt.date(2020, 2, 29),
        dt.datetime(2020, 2, 29, 1, 2, 3, 4),
        dt.datetime(2020, 2, 29, 1, 2, 3, 4, tzinfo=dt.UTC),
        dt.datetime(2020, 2, 29, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
        dt.time(1, 2, 3, 4),
        dt.timedelta(days=1, seconds=2, microseconds=3),
        -dt.timedelta(days=1, seconds=2, microseconds=3),
        Decimal("1.50"),
        Decimal("-1E+5"),
        uuid.UUID(int=5),
        b"\x00\xff",
        [1, [Decimal(2)]],
        {"$": ["date", "x"], "b": [{"c": None}]},
    ],
    ids=repr,
)
def test_values_survive(value):
    assert decode_value(json.loads(dump(encode_value(value)))) == value


def test_an_enums_value():
    assert encode_value(Colour.RED) == "red"
    assert encode_value(Title.EMMA) == "Emma"
    assert encode_value(Stock.TWO) == 2


@pytest.mark.parametrize(
    ("params", "key", "said"),
    [
        (["pk", 1], "params", "a dict of lookups"),
        ({1: 2}, "params", "a dict of lookups"),
        ({"titel": "a"}, "params", "Choices are"),
        ({"title__wrong": "a"}, "params", "Unsupported lookup"),
        ({"stock": "many"}, "params", "expected a number"),
        ({"published": "today"}, "params", "YYYY-MM-DD"),
        ({"in_print": "maybe"}, "params", "True or False"),
        ({"stock__in": 5}, "params", "iterable"),
        ({"stock": float("inf")}, "params", "infinity"),
        ({"author": Author(name="New")}, "params", "must be saved"),
        ({"author": Tag(pk=1, name="x")}, "params", "Author"),
        ({"author__in": Author.objects.all()}, "params['author__in']", "a list of keys"),
        ({"stock": F("minimum") + 1}, "params['stock']", "F('field')"),
        ({"title__gt": object()}, "params['title__gt']", "data"),
        ({"price": float("nan")}, "params", "decimal"),
        ({"details__pages": float("nan")}, "params['details__pages']", "finite"),
        (
            Q(Exists(Book.objects.filter(pk=OuterRef("pk")))),
            "params",
            "lookups by keyword",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_can_not_be_a_condition_is_named(params, key, said):
    with pytest.raises(InvalidUpdate) as caught:
        compile_condition(Book, params)
    assert caught.value.key == key
    assert said in caught.value.valid


LOOKUPS = st.one_of(
    st.tuples(st.sampled_from(["stock", "minimum", "pk", "author", "tags"]), st.integers(-1, 9)),
    st.tuples(
        st.sampled_from(["stock__gt", "stock__lte", "author__lt", "tags__gte"]), st.integers(-1, 9)
    ),
    st.tuples(st.sampled_from(["stock__in", "pk__in", "tags__in"]), st.lists(st.integers(0, 9))),
    st.tuples(
        st.sampled_from(["title", "title__icontains", "author__name", "tags__name"]),
        st.sampled_from(["Emma", "emma", "Jane", "new", "", "ß", "%", "e"]),
    ),
    st.tuples(
        st.sampled_from(["published", "published__gt", "author__book__published__lte"]),
        st.dates(dt.date(2020, 2, 28), dt.date(2020, 3, 8)),
    ),
    st.tuples(
        st.sampled_from(["published__isnull", "author__isnull", "tags__isnull", "in_print"]),
        st.booleans(),
    ),
    st.tuples(
        st.sampled_from(["price", "price__gte"]), st.decimals(0, 4, allow_nan=False, places=1)
    ),
    st.tuples(st.sampled_from(["stock", "stock__lt"]), st.just(F("minimum"))),
    st.tuples(st.sampled_from(["author", "published"]), st.none()),
)


def combined(children):
    return st.one_of(
        st.builds(lambda one, other: one & other, children, children),
        st.builds(lambda one, other: one | other, children, children),
        st.builds(lambda one, other: one ^ other, children, children),
        st.builds(lambda one: ~one, children),
        st.builds(lambda *each: Q(*each), children, children),
    )


TREES = st.recursive(LOOKUPS.map(lambda pair: Q(**dict([pair]))), combined, max_leaves=6)


@hypothesis_settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TREES)
def test_any_tree_decides_as_filter_does(q):
    check(Book, q)
