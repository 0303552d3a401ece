"""What an update function may return, and what is said of everything else."""

import dataclasses
import datetime as dt
import functools
import uuid
from decimal import Decimal

import pytest
from django.db import models
from django.db.models import Q

from serverpush import Update
from serverpush.conditions import condition_q
from serverpush.exceptions import InvalidUpdate, PageTooLarge
from serverpush.listing import MAX_KEYS
from serverpush.protocol import Condition, Page, Serializer
from serverpush.tokens import sign_page
from serverpush.updates import compile_update, compile_updates, fitting
from tests.project import views
from tests.project.models import Author, Book, Device, Note, Seat

pytestmark = pytest.mark.django_db

SOURCE = "tests.project.views.plain_update"


def compiled(*entries, view=views.plain):
    return compile_updates(list(entries), source=SOURCE, module=views, view=view)


def one(view=views.plain, **entry):
    (dependency,) = compiled({"name": "a", "model": Book, **entry}, view=view)
    return dependency


def own_serializer(request, instance, data):
    return None


PARTIAL = functools.partial(own_serializer, data="lost")
BOUND_METHOD = views.Namespace().of_instance


class TestEntries:
    def test_a_dict_and_an_update_say_the_same(self):
        entry = {
            "name": "a",
            "model": Book,
            "params": {"stock": 1},
            "data": ["title"],
            "on": "added",
        }
        assert compiled(entry) == compiled(Update(**entry))

    def test_the_defaults(self):
        dependency = one()
        assert dependency.condition == Condition("project.book")
        assert dependency.condition.is_any
        assert dependency.serializer == Serializer("fields", reads_request=False)
        assert (dependency.data, dependency.vary) == ("null", None)
        assert dependency.on == ("added", "changed")
        assert dependency.keys is None

    def test_none_and_nothing(self):
        assert compile_updates(None, source=SOURCE, module=views, view=None) == ()
        assert compiled() == ()

    def test_any_iterable(self):
        entries = ({"name": name, "model": Book} for name in "ab")
        found = compile_updates(entries, source=SOURCE, module=views, view=None)
        assert [each.name for each in found] == ["a", "b"]

    @pytest.mark.parametrize("name", ["a", "_", "a" * 64, "Book.changed-now_2"])
    def test_event_names(self, name):
        assert one(name=name).name == name

    def test_a_model_by_its_label_in_any_case(self):
        assert one(model="project.BOOK") == one(model=Book)

    @pytest.mark.parametrize(
        ("on", "expected"),
        [
            ("removed", ("removed",)),
            (["changed", "added"], ("added", "changed")),
            ({"added", "removed", "changed"}, ("added", "changed", "removed")),
        ],
    )
    def test_on(self, on, expected):
        assert one(on=on).on == expected

    def test_data_and_vary_are_json(self):
        dependency = one(
            serializer=own_serializer.__module__ + ".own_serializer",
            data={"day": dt.date(2020, 1, 2), "price": Decimal("1.50")},
            vary=("de", 1),
        )
        assert dependency.data == '{"day":"2020-01-02","price":"1.50"}'
        assert dependency.vary == '["de",1]'
        assert one(vary=()).vary == "[]"


class TestSerializers:
    @pytest.mark.parametrize("serializer", [own_serializer, "tests.test_updates.own_serializer"])
    def test_a_function(self, serializer):
        assert one(serializer=serializer).serializer == Serializer(
            "function", "tests.test_updates:own_serializer"
        )

    def test_a_name_in_the_views_module(self):
        assert one(serializer="without").serializer.target == "tests.project.views:without"

    def test_the_view_itself(self):
        dependency = one(serializer="plain", view=views.plain)
        assert dependency.serializer == Serializer(
            "view", "tests.project.views:plain", reads_object=False
        )
        assert dependency.on == ("added", "changed", "removed")

    def test_a_view_that_takes_the_object(self):
        dependency = one(serializer="with_object", view=views.with_object)
        assert dependency.serializer.reads_object

    def test_a_class(self):
        dependency = one(serializer="WithMethod", view=views.WithMethod)
        assert dependency.serializer.target == "tests.project.views:WithMethod"
        assert dependency.serializer.kind == "view"

    def test_another_view_of_the_site(self, settings):
        settings.ROOT_URLCONF = "tests.test_discovery"
        assert one(serializer="decorated", view=views.plain).serializer.kind == "view"

    def test_a_field_map_that_mentions_the_request(self):
        assert one(data={"me": "request.user.pk"}).serializer.reads_request


class TestKeys:
    def test_those_that_match_now(self):
        keys = [Book.objects.create(title="a", stock=stock).pk for stock in (1, 2, 1)]
        assert set(one(params={"stock": 1}).keys) == {keys[0], keys[2]}
        assert one(params={"stock": 7}).keys == ()

    def test_one_key_or_any_need_no_list(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert one(params={"pk": 1}).keys is None
            assert one().keys is None

    def test_each_once_across_relations(self):
        author = Author.objects.create(name="Jane")
        for _ in range(3):
            Book.objects.create(title="a", author=author)
        assert one(model=Author, params={"book__title": "a"}).keys == (author.pk,)

    def test_keys_that_are_no_numbers(self):
        device = Device.objects.create(name="a")
        assert one(model=Device, params={"name": "a"}).keys == (str(device.pk),)

    def test_what_the_default_manager_hides_does_not_match(self):
        Note.everything.create(text="a", hidden=True)
        note = Note.objects.create(text="a")
        assert one(model=Note, params={"text": "a"}).keys == (note.pk,)

    def test_too_many_are_not_listed(self):
        Book.objects.bulk_create(Book(title="a") for _ in range(MAX_KEYS))
        assert len(one(params={"title": "a"}).keys) == MAX_KEYS
        Book.objects.create(title="a")
        assert one(params={"title": "a"}).keys is None

    def test_a_q(self):
        book = Book.objects.create(title="a", stock=4)
        dependency = one(params=Q(stock__gt=3) & ~Q(title="b"))
        assert dependency.keys == (book.pk,)
        assert Book.objects.filter(condition_q(dependency.condition)).get() == book


class Abstract(models.Model):
    class Meta:
        abstract = True
        app_label = "project"


class TestBadInput:
    """Each names the update function, the entry, the key, the value and what is valid."""

    @pytest.mark.parametrize(
        ("entry", "key", "value", "valid"),
        [
            ({"model": Book}, "name", None, "required"),
            ({"name": "a"}, "model", None, "required"),
            ({"name": "a", "model": Book, "param": {}}, "param", {}, "the nearest is 'params'"),
            (
                {"name": "a", "model": Book, "zzzz": 1},
                "zzzz",
                1,
                "the keys are name, model, params",
            ),
            ({"name": "a", "model": Book, 5: 1}, "5", 1, "the keys are name, model, params"),
            ({"name": "1a", "model": Book}, "name", "1a", "a letter or _"),
            ({"name": "a b", "model": Book}, "name", "a b", "a letter or _"),
            ({"name": "a\n", "model": Book}, "name", "a\n", "a letter or _"),
            ({"name": "", "model": Book}, "name", "", "a letter or _"),
            ({"name": "a" * 65, "model": Book}, "name", "a" * 65, "64 at most"),
            ({"name": None, "model": Book}, "name", None, "a letter or _"),
            ({"name": "connect", "model": Book}, "name", "connect", "taken"),
            ({"name": "a", "model": "project.Bok"}, "model", "project.Bok", "'project.Book'"),
            ({"name": "a", "model": "Book"}, "model", "Book", "'app_label.Model'"),
            ({"name": "a", "model": Abstract}, "model", Abstract, "a model class"),
            ({"name": "a", "model": dict}, "model", dict, "a model class"),
            ({"name": "a", "model": 5}, "model", 5, "a model class"),
            (
                {"name": "a", "model": Book, "params": {"titel": 1}},
                "params",
                {"titel": 1},
                "Choices are",
            ),
            ({"name": "a", "model": Book, "params": 5}, "params", 5, "a dict of lookups"),
            (
                {"name": "a", "model": Book, "params": {"price": object}},
                "params",
                {"price": object},
                "decimal",
            ),
            (
                {"name": "a", "model": Book, "serializer": "nothing"},
                "serializer",
                "nothing",
                "the view's module 'tests.project.views'",
            ),
            (
                {"name": "a", "model": Book, "serializer": "no.such.function"},
                "serializer",
                "no.such.function",
                "its dotted path",
            ),
            ({"name": "a", "model": Book, "serializer": 5}, "serializer", 5, "a callable"),
            (
                {"name": "a", "model": Book, "serializer": views.hidden},
                "serializer",
                views.hidden,
                "that can be imported",
            ),
            (
                {"name": "a", "model": Book, "serializer": PARTIAL},
                "serializer",
                PARTIAL,
                "a function itself, not a partial of it",
            ),
            (
                {"name": "a", "model": Book, "serializer": BOUND_METHOD},
                "serializer",
                BOUND_METHOD,
                "a function, not a method of an object",
            ),
            (
                {"name": "a", "model": Book, "data": {"a": "other.title"}},
                "data",
                {"a": "other.title"},
                "object, request, data",
            ),
            (
                {"name": "a", "model": Book, "data": {"a": "object.title|nothing"}},
                "data",
                {"a": "object.title|nothing"},
                "Invalid filter: 'nothing'",
            ),
            ({"name": "a", "model": Book, "data": "title"}, "data", "title", "a list of field"),
            (
                {"name": "a", "model": Book, "serializer": "plain", "data": {1}},
                "data",
                {1},
                "what JSON can hold",
            ),
            (
                {"name": "a", "model": Book, "serializer": "plain", "data": float("inf")},
                "data",
                float("inf"),
                "what JSON can hold",
            ),
            ({"name": "a", "model": Book, "vary": object}, "vary", object, "what JSON can hold"),
            ({"name": "a", "model": Book, "on": "gone"}, "on", "gone", "added, changed, removed"),
            ({"name": "a", "model": Book, "on": ()}, "on", (), "added, changed, removed"),
            ({"name": "a", "model": Book, "on": 5}, "on", 5, "added, changed, removed"),
            ({"name": "a", "model": Seat}, "model", Seat, "primary key is a single field"),
            ("a", "", "a", "a dict or serverpush.Update"),
        ],
        ids=lambda value: str(value).partition(" at 0x")[0][:40],
    )
    def test_it_is_named(self, entry, key, value, valid):
        with pytest.raises(InvalidUpdate) as caught:
            compiled({"name": "fine", "model": Book}, entry)
        error = caught.value
        assert (error.update, error.index, error.key, error.value) == (SOURCE, 1, key, value)
        assert valid in error.valid
        said = str(error)
        assert said.startswith(f"{SOURCE}, entry 1")
        assert not key or repr(key) in said
        assert (repr(value) if len(repr(value)) <= 120 else repr(value)[:119]) in said
        assert valid in said

    @pytest.mark.parametrize("entries", [{"name": "a", "model": Book}, "a", 5, Update("a", Book)])
    def test_what_is_no_list_at_all(self, entries):
        with pytest.raises(InvalidUpdate, match="return a list of updates, or None") as caught:
            compile_updates(entries, source=SOURCE, module=views, view=None)
        assert str(caught.value).startswith(f"{SOURCE}: ")

    def test_a_long_value_is_shortened(self):
        with pytest.raises(InvalidUpdate) as caught:
            one(name="x" * 5000)
        assert len(str(caught.value)) < 400

    def test_one_entry_alone(self):
        with pytest.raises(InvalidUpdate, match=r"^the update function, 'name'"):
            compile_update({"name": "", "model": Book})


class TestFitting:
    def dependencies(self, *counts):
        made = one(params={"stock": 1})
        return tuple(
            dataclasses.replace(made, keys=tuple(str(uuid.uuid4()) for _ in range(count)))
            for count in counts
        )

    def test_what_fits_is_left_alone(self):
        dependencies = self.dependencies(10, 20)
        assert fitting(dependencies) == dependencies

    def test_the_longest_lists_go_first(self):
        fitted = fitting(self.dependencies(10, 900, 20, 100, 90))
        assert [each.keys and len(each.keys) for each in fitted] == [10, None, 20, None, 90]

    def test_what_fits_can_be_signed(self):
        fitted = fitting(self.dependencies(*[100] * 20))
        assert sign_page(Page(path="/", dependencies=fitted))

    def test_a_page_with_too_many_updates_says_so(self):
        made = one(params={"stock": 1})
        many = tuple(dataclasses.replace(made, name=uuid.uuid4().hex) for _ in range(1000))
        with pytest.raises(PageTooLarge, match=r"the 1000 updates of /shop/ make a token of \d+"):
            sign_page(Page(path="/shop/", dependencies=many))
