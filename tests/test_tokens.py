import base64
import time
import zlib
from dataclasses import replace

import pytest
from django.core import signing
from django.db.models import Q

from serverpush import tokens
from serverpush.exceptions import BadToken, TokenExpired
from serverpush.protocol import Condition, Dependency, Page, Serializer
from serverpush.tokens import notifier_key, notifier_keys, session_hash, sign_page, verify_page
from serverpush.updates import compile_updates
from tests.project.models import Author, Book

PAGE = Page(
    path="/a/<b>/",
    query="a=1",
    host="localhost:8000",
    secure=True,
    script="/site",
    time=1700000000.123,
    recorded=1700000000.5,
    language="de",
    zone="Europe/Berlin",
    session="0" * 24,
    user="5",
    dependencies=(
        Dependency(
            "name",
            Condition("project.book", (("stock", 1),)),
            Serializer("function", "a:b"),
            data='{"a":1}',
            vary="[]",
            on=("added", "removed"),
            keys=(1, 2, 3),
        ),
        Dependency("any", Condition("project.book"), Serializer("fields"), keys=None),
    ),
)


def test_a_page_comes_back_whole():
    assert verify_page(sign_page(PAGE)) == PAGE


@pytest.mark.django_db
def test_a_token_with_three_updates_is_small():
    """Each page carries it, and each handshake."""
    Book.objects.bulk_create(Book(title="Emma") for _ in range(10))
    updates = [
        {"name": "author", "model": Author, "params": {"pk": 1}, "data": ["name", "email"]},
        {
            "name": "books",
            "model": Book,
            "params": {"title": "Emma"},
            "data": {"t": "object.title"},
        },
        {"name": "cheap", "model": Book, "params": Q(price__lt=5) | Q(author__isnull=True)},
    ]
    found = compile_updates(updates, source="views.page_update", module=None, view=None)
    assert len(sign_page(replace(PAGE, dependencies=found))) < 700


def test_a_token_can_go_into_a_url():
    assert signing.b64_encode(b"") == b""
    assert set(sign_page(PAGE)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
    )


@pytest.mark.parametrize("place", [0, 1, 10, -1, -20, -40])
def test_a_changed_letter_is_noticed(place):
    token = list(sign_page(PAGE))
    token[place] = "A" if token[place] != "A" else "B"
    with pytest.raises(BadToken):
        verify_page("".join(token))


@pytest.mark.parametrize(
    "token",
    ["", ":", "::", "a:b:c", "ß", "\ud800:a:b", "x" * 100_000, None, 5, b"a", ["a"], {"page": 1}],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_token(token):
    with pytest.raises(BadToken):
        verify_page(token)


def test_a_bomb_without_a_signature_is_not_unpacked(monkeypatch):
    bomb = base64.urlsafe_b64encode(zlib.compress(b"0" * 10_000_000)).decode()
    monkeypatch.setattr(zlib, "decompress", lambda data: pytest.fail("it was unpacked"))
    with pytest.raises(BadToken):
        verify_page(f".{bomb}:1abcde:{'x' * 43}")


def test_a_token_for_another_use():
    with pytest.raises(BadToken):
        verify_page(tokens._sign("channel", [1, PAGE.to_json()]))


def test_a_token_of_another_salt(settings):
    token = sign_page(PAGE)
    settings.SERVERPUSH_SALT = "other"
    with pytest.raises(BadToken):
        verify_page(token)


def test_a_token_of_another_key(settings):
    token = sign_page(PAGE)
    settings.SECRET_KEY = "another"
    with pytest.raises(BadToken):
        verify_page(token)


def test_a_token_of_the_key_before(settings):
    token = sign_page(PAGE)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert verify_page(token) == PAGE


def test_an_old_token(settings, monkeypatch):
    settings.SERVERPUSH_TOKEN_MAX_AGE = 60
    token = sign_page(PAGE)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 58)
    assert verify_page(token) == PAGE
    monkeypatch.setattr(time, "time", lambda: now + 62)
    with pytest.raises(TokenExpired):
        verify_page(token)


def test_a_token_of_another_version_is_told_as_old(monkeypatch):
    token = sign_page(PAGE)
    monkeypatch.setattr(tokens, "PAGE_VERSION", tokens.PAGE_VERSION + 1)
    with pytest.raises(TokenExpired):
        verify_page(token)


def test_the_codes_of_the_contract():
    assert (BadToken.code, TokenExpired.code) == ("bad_token", "token_expired")


class TestSessionHash:
    def test_it_compares(self):
        assert session_hash("abc") == session_hash("abc") != session_hash("abd")

    def test_it_tells_nothing_of_the_key(self):
        assert "abc" not in session_hash("abc")
        assert len(session_hash("abc")) == 24

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_session(self, key):
        assert session_hash(key) == ""

    def test_it_depends_on_the_secret(self, settings):
        before = session_hash("abc")
        settings.SECRET_KEY = "another"
        assert session_hash("abc") != before


def test_the_notifier_key_depends_on_the_secret(settings):
    before = notifier_key()
    assert len(before) == 64
    settings.SECRET_KEY = "another"
    assert notifier_key() != before


def test_the_notifier_accepts_the_keys_of_secrets_before(settings):
    before = notifier_key()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert notifier_keys() == [notifier_key(), before]
    settings.SECRET_KEY_FALLBACKS = []
    assert notifier_keys() == [notifier_key()]
