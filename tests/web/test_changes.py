import contextlib
import time
import uuid
from contextlib import contextmanager
from contextlib import suppress as suppress_error

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import serializers
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext

from serverpush.client import ping_notifier, suppress
from serverpush.exceptions import UnknownModel
from serverpush.web import changes
from serverpush.web.outbox import outbox
from tests.project.models import (
    Author,
    Book,
    BookProxy,
    Club,
    Device,
    Edition,
    Membership,
    Novel,
    Person,
    Reprint,
    Seat,
    Tag,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Unwanted(Exception):
    """Ends a transaction that is to be rolled back."""


@contextmanager
def rolled_back():
    with suppress_error(Unwanted), transaction.atomic():
        yield
        raise Unwanted


@contextmanager
def selects(count):
    """Exactly so many queries that only read."""
    with CaptureQueriesContext(connection) as captured:
        yield
    found = [each["sql"] for each in captured if each["sql"].startswith("SELECT")]
    assert len(found) == count, found


@pytest.fixture
def book(reported):
    made = Book.objects.create(title="Emma")
    reported.clear()
    return made


@pytest.fixture
def tags(reported):
    made = [Tag.objects.create(name=name) for name in ("new", "used", "rare")]
    reported.clear()
    return made


class TestSaves:
    def test_created_changed_deleted(self, reported):
        author = Author.objects.create(name="Jane")
        pk = author.pk
        author.save()
        author.delete()
        assert reported == [
            ("project.author", pk, "created"),
            ("project.author", pk, "changed"),
            ("project.author", pk, "deleted"),
        ]

    def test_a_key_that_is_no_number_is_text(self, reported):
        key = uuid.uuid4()
        Device.objects.create(pk=key)
        assert reported == [("project.device", str(key), "created")]

    @pytest.mark.parametrize("spell", [str, str.upper, lambda text: text.replace("-", "")])
    def test_a_key_is_told_in_one_spelling_however_it_was_given(self, reported, spell):
        key = uuid.uuid4()
        device = Device.objects.create(pk=spell(str(key)))
        device.delete()
        assert reported == [
            ("project.device", str(key), "created"),
            ("project.device", str(key), "deleted"),
        ]

    @pytest.mark.parametrize("given", [5, "5"])
    def test_a_number_is_told_as_one(self, reported, given):
        Author.objects.create(pk=given, name="Jane")
        assert reported == [("project.author", 5, "created")]

    def test_a_child_whose_keys_are_given_as_text(self, reported):
        Reprint.objects.create(id="5", edition_id="5", title="Emma")
        assert reported == [("project.reprint", 5, "created")]

    def test_a_uuid_given_as_a_number(self, reported):
        Device.objects.create(pk=5)
        assert reported == [("project.device", str(uuid.UUID(int=5)), "created")]

    def test_a_proxy_and_a_child_are_reported_as_themselves(self, reported):
        novel = Novel.objects.create(title="Emma")
        proxy = BookProxy.objects.get()
        proxy.save()
        assert reported == [
            ("project.novel", novel.pk, "created"),
            ("project.bookproxy", novel.pk, "changed"),
        ]

    def test_a_second_parent_is_reported_with_its_own_key(self, reported):
        Edition.objects.create(edition_id=70)
        reported.clear()
        reprint = Reprint.objects.create(title="Emma")
        pk, other = reprint.pk, reprint.edition_id
        assert pk != other
        assert reported == [
            ("project.reprint", pk, "created"),
            ("project.edition", other, "created"),
        ]
        reported.clear()
        reprint.delete()
        assert ("project.reprint", pk, "deleted") in reported
        assert ("project.edition", other, "deleted") in reported
        assert ("project.edition", pk, "deleted") not in reported

    def test_a_composite_key_is_not_reported(self, reported, settings):
        settings.SERVERPUSH_MODELS = ["project.Seat", "project.Author"]
        seat = Seat.objects.create(row=1, number=2)
        seat.save()
        seat.delete()
        Seat.objects.create(row=1, number=3)
        Seat.objects.all().delete()
        assert reported == []

    @pytest.mark.parametrize("target", [Seat(row=1, number=2), [Seat(row=1, number=2)]])
    def test_nor_can_it_be_pinged(self, reported, target):
        with pytest.raises(ValueError, match=r"^project\.seat has a composite primary key"):
            ping_notifier(target)
        with pytest.raises(ValueError, match=r"^project\.seat has a composite primary key"):
            ping_notifier(Seat, pk=[(1, 2)])

    @pytest.mark.parametrize("instance", [Device(pk="nonsense"), Author(pk="nonsense")])
    def test_an_instance_with_an_impossible_key_is_not_pinged(self, reported, instance):
        with pytest.raises(ValueError, match=r"^'nonsense' can't be a key of project\."):
            ping_notifier(instance)
        assert reported == []

    def test_what_a_cascade_deletes_is_reported(self, reported, book):
        author = Author.objects.create(name="Jane")
        book.author = author
        book.save()
        pk, author_pk = book.pk, author.pk
        reported.clear()
        author.delete()
        assert set(reported) == {
            ("project.book", pk, "deleted"),
            ("project.author", author_pk, "deleted"),
        }

    def test_deleting_a_queryset_reports_each(self, reported):
        keys = [Author.objects.create(name="Jane").pk for _ in range(3)]
        reported.clear()
        Author.objects.all().delete()
        assert sorted(reported) == [("project.author", pk, "deleted") for pk in keys]

    def test_loaded_fixtures_are_reported(self, reported):
        text = serializers.serialize("json", [Author(pk=5, name="Jane")])
        for loaded in serializers.deserialize("json", text):
            loaded.save()
        assert reported == [("project.author", 5, "created")]

    def test_a_change_is_timed_at_its_commit(self, monkeypatch):
        put = []
        monkeypatch.setattr(outbox, "put", put.append)
        with transaction.atomic():
            Author.objects.create(name="Jane")
            end = time.time()
        assert end <= put[0].at <= time.time()

    def test_saving_through_the_signals_twice_connected_reports_once(self, reported):
        changes.connect()
        Author.objects.create(name="Jane")
        assert len(reported) == 1


class TestTransactions:
    def test_nothing_before_the_commit(self, reported):
        with transaction.atomic():
            Author.objects.create(name="Jane")
            assert reported == []
        assert len(reported) == 1

    def test_a_rolled_back_transaction_reports_nothing(self, reported):
        with rolled_back():
            Author.objects.create(name="Jane")
        assert reported == []

    def test_a_rolled_back_savepoint_reports_nothing_and_the_rest_goes_out(self, reported):
        with transaction.atomic():
            Author.objects.create(name="Jane")
            with rolled_back():
                Author.objects.create(name="Emily")
        assert len(reported) == 1

    def test_a_failing_callback_of_someone_else_does_not_stop_it(self, reported):
        def fail():
            raise ZeroDivisionError

        with transaction.atomic():
            transaction.on_commit(fail, robust=True)
            Author.objects.create(name="Jane")
        assert len(reported) == 1

    def test_not_even_one_after_which_django_drops_all_others(self, reported):
        def fail():
            raise ZeroDivisionError

        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            Author.objects.create(pk=1, name="Jane")
            transaction.on_commit(fail)
            Author.objects.create(pk=2, name="Emily")
            transaction.on_commit(fail)
            Author(pk=1, name="Anne").save()
        assert [(pk, action) for _, pk, action in reported] == [
            (1, "created"),
            (2, "created"),
            (1, "changed"),
        ]

    def test_callbacks_of_others_keep_their_order(self, reported):
        called = []
        with transaction.atomic():
            transaction.on_commit(lambda: called.append("first"))
            Author.objects.create(name="Jane")
            transaction.on_commit(lambda: called.append("second"))
            with rolled_back():
                transaction.on_commit(lambda: called.append("never"))
                Author.objects.create(name="Emily")
            transaction.on_commit(lambda: called.append("third"))
        assert called == ["first", "second", "third"]
        assert len(reported) == 1

    def test_with_autocommit_off_a_save_still_raises_nothing(self, reported):
        transaction.set_autocommit(False)
        try:
            Author.objects.create(name="Jane")
            transaction.commit()
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        assert len(reported) == 1

    def test_a_failing_outbox_does_not_fail_the_transaction(self, monkeypatch):
        def fail(entry):
            raise ZeroDivisionError

        monkeypatch.setattr(outbox, "put", fail)
        with transaction.atomic():
            Author.objects.create(name="Jane")
        assert Author.objects.count() == 1


class TestManyToMany:
    def test_add_reports_both_sides(self, reported, book, tags):
        book.tags.add(tags[0], tags[1])
        assert reported[0] == ("project.book", book.pk, "changed")
        assert set(reported[1:]) == {("project.tag", tag.pk, "changed") for tag in tags[:2]}

    def test_adding_what_is_there_reports_nothing(self, reported, book, tags):
        book.tags.add(tags[0])
        reported.clear()
        book.tags.add(tags[0])
        book.tags.add()
        assert reported == []

    def test_only_what_is_new_is_reported(self, reported, book, tags):
        book.tags.add(tags[0])
        reported.clear()
        book.tags.add(*tags[:2])
        assert reported == [
            ("project.book", book.pk, "changed"),
            ("project.tag", tags[1].pk, "changed"),
        ]

    def test_remove_reports_both_sides(self, reported, book, tags):
        book.tags.add(tags[0])
        reported.clear()
        book.tags.remove(tags[0])
        assert reported == [
            ("project.book", book.pk, "changed"),
            ("project.tag", tags[0].pk, "changed"),
        ]

    def test_a_key_that_is_removed_as_text_is_told_as_the_number_that_it_is(
        self, reported, book, tags
    ):
        book.tags.add(tags[0])
        reported.clear()
        book.tags.remove(str(tags[0].pk))
        assert reported[1:] == [("project.tag", tags[0].pk, "changed")]

    def test_clear_reports_those_that_were_there(self, reported, book, tags):
        book.tags.add(*tags[:2])
        reported.clear()
        book.tags.clear()
        assert set(reported) == {
            ("project.book", book.pk, "changed"),
            ("project.tag", tags[0].pk, "changed"),
            ("project.tag", tags[1].pk, "changed"),
        }
        assert "_serverpush_clearing" not in book.__dict__

    def test_clearing_nothing_reports_nothing(self, reported, book):
        book.tags.clear()
        assert reported == []

    def test_clear_asks_one_query_more(self, reported, book, tags):
        book.tags.add(*tags)
        with suppress(), selects(0):
            book.tags.clear()
        book.tags.add(*tags)
        with selects(1):
            book.tags.clear()

    def test_from_the_other_side(self, reported, book, tags):
        tags[0].books.add(book)
        tags[0].books.clear()
        assert (
            reported
            == [
                ("project.tag", tags[0].pk, "changed"),
                ("project.book", book.pk, "changed"),
            ]
            * 2
        )

    def test_a_child_uses_its_parents_relation(self, reported, tags):
        novel = Novel.objects.create(title="Emma")
        reported.clear()
        novel.tags.add(tags[0])
        novel.tags.clear()
        assert (
            reported
            == [
                ("project.novel", novel.pk, "changed"),
                ("project.tag", tags[0].pk, "changed"),
            ]
            * 2
        )

    @pytest.mark.parametrize("name", ["friends", "follows", "followers"])
    def test_to_the_same_model(self, reported, name):
        one, other = (Person.objects.create(name=each) for each in "ab")
        reported.clear()
        getattr(one, name).add(other)
        assert set(reported) == {
            ("project.person", one.pk, "changed"),
            ("project.person", other.pk, "changed"),
        }
        reported.clear()
        getattr(one, name).clear()
        assert set(reported) == {
            ("project.person", one.pk, "changed"),
            ("project.person", other.pk, "changed"),
        }

    def test_a_relation_by_another_field_than_the_key(self, reported, tags):
        club = Club.objects.create(name="Readers")
        reported.clear()
        club.tags.add(tags[2])
        club.tags.remove(tags[2])
        club.tags.add(tags[2])
        club.tags.clear()
        found = [each for each in reported if each[0] != "project.membership"]
        once = [("project.club", club.pk, "changed"), ("project.tag", tags[2].pk, "changed")]
        assert found == once * 4

    def test_a_through_model_of_ones_own_is_a_model(self, reported, tags):
        club = Club.objects.create(name="Readers")
        member = Membership.objects.create(club=club, tag=tags[0])
        assert ("project.membership", member.pk, "created") in reported

    def test_a_rolled_back_clear_reports_nothing(self, reported, book, tags):
        book.tags.add(tags[0])
        reported.clear()
        with rolled_back():
            book.tags.clear()
        assert reported == []

    def test_only_the_side_that_is_reported(self, settings, reported, book, tags):
        settings.SERVERPUSH_MODELS = ["project.Tag"]
        book.tags.add(tags[0])
        assert reported == [("project.tag", tags[0].pk, "changed")]


class TestWhichModels:
    def test_sessions_are_left_out(self, reported):
        session = SessionStore()
        session["a"] = 1
        session.save()
        session.delete()
        assert reported == []

    def test_migrations_are_left_out(self, reported):
        MigrationRecorder(connection).record_applied("project", "0001")
        assert reported == []

    def test_deleting_expired_sessions_fetches_none(self):
        session = SessionStore()
        session["a"] = 1
        session.save()
        with selects(0):
            Session.objects.all().delete()

    def test_a_list_of_labels(self, settings, reported):
        settings.SERVERPUSH_MODELS = ["project.Author"]
        Author.objects.create(name="Jane")
        Tag.objects.create(name="new")
        assert [model for model, _, _ in reported] == ["project.author"]
        Tag.objects.all().delete()
        Author.objects.all().delete()
        assert [model for model, _, _ in reported] == ["project.author"] * 2

    def test_a_listed_model_brings_its_children_and_proxies(self, settings, reported):
        settings.SERVERPUSH_MODELS = ["project.Book"]
        Novel.objects.create(title="Emma")
        BookProxy.objects.get().save()
        assert [model for model, _, _ in reported] == ["project.novel", "project.bookproxy"]

    def test_a_listed_child_does_not_bring_its_parent(self, settings, reported):
        settings.SERVERPUSH_MODELS = ["project.Novel"]
        Book.objects.create(title="Emma")
        assert reported == []

    def test_none(self, settings, reported):
        settings.SERVERPUSH_MODELS = ()
        author = Author.objects.create(name="Jane")
        author.delete()
        assert reported == []

    def test_an_unknown_label_does_not_fail_a_save(self, settings, reported):
        settings.SERVERPUSH_MODELS = ["project.Autor", "project.Author"]
        Author.objects.create(name="Jane")
        assert len(reported) == 1

    def test_a_wrong_setting_does_not_fail_a_save(self, settings, reported, monkeypatch):
        monkeypatch.setattr(changes, "_labels", {})
        settings.SERVERPUSH_PORT = "8013"
        Author.objects.create(name="Jane")
        assert len(reported) == 1

    def test_the_decision_is_made_again_when_the_setting_changes(self, settings, reported):
        settings.SERVERPUSH_MODELS = ()
        assert not post_delete.has_listeners(Author)
        settings.SERVERPUSH_MODELS = "__all__"
        assert post_delete.has_listeners(Author)
        Author.objects.create(name="Jane").delete()
        assert len(reported) == 2


class TestSuppress:
    def test_nothing_inside(self, reported, book, tags):
        pk = book.pk
        with suppress():
            Author.objects.create(name="Jane").delete()
            book.tags.add(tags[0])
            book.tags.clear()
            ping_notifier(book)
        assert reported == []
        ping_notifier(Book, pk)
        assert len(reported) == 1

    def test_it_counts_at_the_save_not_at_the_commit(self, reported):
        with transaction.atomic():
            with suppress():
                Author.objects.create(name="Jane")
            Tag.objects.create(name="new")
        assert [model for model, _, _ in reported] == ["project.tag"]


class TestPingNotifier:
    def test_an_instance(self, reported, book):
        ping_notifier(book)
        assert reported == [("project.book", book.pk, "changed")]

    def test_several_instances(self, reported, tags):
        ping_notifier(Tag.objects.order_by("pk"), action="deleted")
        assert reported == [("project.tag", tag.pk, "deleted") for tag in tags]

    def test_a_model_and_a_key(self, reported):
        ping_notifier(Book, 7)
        ping_notifier("project.Book", "8", action="created")
        assert reported == [("project.book", 7, "changed"), ("project.book", 8, "created")]

    def test_a_model_and_several_keys(self, reported):
        ping_notifier(Book, [1, 2])
        ping_notifier(Book, range(3, 5))
        ping_notifier(Book, (pk for pk in (5,)))
        assert [pk for _, pk, _ in reported] == [1, 2, 3, 4, 5]

    def test_a_text_key_is_one_key(self, reported):
        key = str(uuid.uuid4())
        ping_notifier(Device, key)
        ping_notifier(Device, uuid.UUID(key))
        assert reported == [("project.device", key, "changed")] * 2

    def test_a_model_that_is_not_reported_by_itself(self, settings, reported):
        settings.SERVERPUSH_MODELS = ()
        ping_notifier(Book, 7)
        assert len(reported) == 1

    def test_both_parents(self, reported):
        Edition.objects.create(edition_id=70)
        reprint = Reprint.objects.create(title="Emma")
        reported.clear()
        ping_notifier(reprint)
        assert ("project.edition", reprint.edition_id, "changed") in reported

    def test_it_waits_for_the_commit(self, reported):
        with transaction.atomic():
            ping_notifier(Book, 7)
            assert reported == []
        assert len(reported) == 1

    def test_not_after_a_rollback(self, reported):
        with rolled_back():
            ping_notifier(Book, 7)
        assert reported == []

    @pytest.mark.parametrize(
        ("arguments", "more", "said"),
        [
            ((Book(title="Emma"),), {}, "is not saved"),
            ((Book,), {}, "primary key of Book"),
            ((Book, "seven"), {}, "'seven' can't be a key of project.book"),
            ((Book, [1, None]), {}, "None can't be a key"),
            ((Book, 1), {"action": "updated"}, "created, changed, deleted, not 'updated'"),
        ],
    )
    def test_what_can_not_be_reported_is_named(self, reported, arguments, more, said):
        with pytest.raises(ValueError, match=said):
            ping_notifier(*arguments, **more)
        assert reported == []

    def test_an_unknown_model_is_named_with_the_nearest(self, reported):
        with pytest.raises(UnknownModel, match=r"project\.Book"):
            ping_notifier("project.Bok", 1)

    def test_a_model_that_the_push_server_does_not_know(self, reported):
        class Stranger(models.Model):
            class Meta:
                app_label = "elsewhere"
                abstract = True

        with pytest.raises(UnknownModel):
            ping_notifier(Stranger, 1)
        assert reported == []


def test_a_save_arrives(notifier):
    user = User.objects.create_user("ann")
    while ("auth.user", user.pk, "created") not in notifier.changes(1):
        # Content types, say, which the test database makes itself.
        continue


@pytest.mark.django_db
def test_a_test_case_captures_it_whatever_waits_from_before(django_capture_on_commit_callbacks):
    called = []
    transaction.on_commit(lambda: called.append("from before"))
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        Author.objects.create(name="Jane")
    assert len(callbacks) == 1
    assert called == []
