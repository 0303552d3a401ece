import uuid

import pytest
from django.contrib.sessions.models import Session

from serverpush.exceptions import UnknownModel
from serverpush.labels import key_of, label_of, model_of, table
from tests.project.models import Book, BookProxy, Device, Novel


def test_a_label_and_back():
    assert label_of(Book) == "project.book"
    assert model_of("project.book") is model_of("project.Book") is Book


@pytest.mark.parametrize(
    ("label", "near"),
    [
        ("project.Bok", "project.Book"),
        ("projekt.book", "project.Book"),
        ("Book", ""),
        ("a.b.c", ""),
        ("", ""),
    ],
)
def test_an_unknown_label_names_the_nearest(label, near):
    with pytest.raises(UnknownModel) as caught:
        model_of(label)
    assert caught.value.label == label
    assert caught.value.near == near or not near
    assert repr(label) in str(caught.value)


@pytest.mark.parametrize(
    ("pk", "key"),
    [(5, 5), ("5", "5"), (uuid.UUID(int=5), str(uuid.UUID(int=5))), (True, "True"), ("", "")],
)
def test_keys_in_json(pk, key):
    assert key_of(pk) == key


class TestTable:
    @pytest.mark.parametrize(
        ("label", "members"),
        [
            ("project.author", {"project.author"}),
            (
                "project.book",
                {"project.book", "project.novel", "project.bookproxy", "project.reprint"},
            ),
            ("project.bookproxy", {"project.book", "project.novel", "project.bookproxy"}),
            ("project.novel", {"project.book", "project.novel", "project.bookproxy"}),
            ("project.reprint", {"project.book", "project.edition", "project.bookproxy"}),
        ],
    )
    def test_a_change_touches_parents_children_and_proxies(self, label, members):
        assert set(table()[label].family) >= members

    def test_but_no_siblings(self):
        assert "project.reprint" not in table()["project.novel"].family
        assert "project.author" not in table()["project.book"].family

    @pytest.mark.parametrize(
        ("model", "kind"),
        [
            (Book, "integer"),
            (Novel, "integer"),
            (BookProxy, "integer"),
            (Device, "uuid"),
            (Session, "text"),
        ],
    )
    def test_how_keys_are_written(self, model, kind):
        assert table()[label_of(model)].key == kind

    def test_relations_that_django_made_are_known(self):
        assert "project.book_tags" in table()
