"""Whether there are such users, and what their tokens are."""

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError

from serverpush.jobs import UsersJob
from serverpush.renderer.users import look_up
from serverpush.results import UsersResult
from serverpush.tokens import token_hash
from tests.people.process import printed

pytestmark = pytest.mark.django_db


def tokenizer(user):
    if user.username == "tokenless":
        raise User.DoesNotExist("no device")
    if user.username == "broken":
        raise LookupError("no device")
    if user.username == "unlucky":
        raise DatabaseError("it is down")
    if user.username in NONE:
        return NONE[user.username]
    if user.username == "number":
        return 7
    if user.username == "long":
        return "x" * 2001
    return f"token of {user.username}"


NONE = {"empty": "", "none": None, "false": False, "true": True, "zero": 0, "tuple": ()}


@pytest.fixture(autouse=True)
def _tokenizer(settings):
    settings.SERVERPUSH_TOKENIZER = "tests.renderer.test_users.tokenizer"


def user(name):
    return str(User.objects.create(username=name).pk)


def test_tokens_by_their_hashes():
    ann, bob = user("ann"), user("bob")
    found = look_up(UsersJob((bob, ann), tokens=True)).found
    assert found == (token_hash("token of bob"), token_hash("token of ann"))


def test_without_tokens_nothing_is_called():
    assert look_up(UsersJob((user("unlucky"),))) == UsersResult(("",))


@pytest.mark.parametrize("key", ["987654321", "x", "", "1e5", "9" * 40, "\0"])
def test_who_is_not_there(key):
    ann = user("ann")
    assert look_up(UsersJob((key, ann))).found == (None, "")


def test_one_query_for_all(django_assert_num_queries):
    keys = tuple(user(f"user {number}") for number in range(20))
    with django_assert_num_queries(1):
        look_up(UsersJob(keys, tokens=True))


def test_a_user_who_misses_a_row_has_no_token():
    assert look_up(UsersJob((user("tokenless"),), tokens=True)) == UsersResult(("",))


@pytest.mark.parametrize("name", ["broken", "unlucky"])
def test_of_whom_a_tokenizer_raises_nothing_is_known(name):
    broken, ann = user(name), user("ann")
    result = look_up(UsersJob((broken, ann), tokens=True))
    assert result.found == ("", token_hash("token of ann"))
    assert result.unknown == {0}
    assert f"the token of user {broken}: raised" in result.error
    assert "test_users.py, line" in result.error


def test_who_is_not_active_has_no_token():
    ann = user("ann")
    User.objects.update(is_active=False)
    assert look_up(UsersJob((ann,), tokens=True)) == UsersResult(("",))


def test_a_token_that_is_no_text_counts_as_one():
    assert look_up(UsersJob((user("number"),), tokens=True)).found == (token_hash("7"),)


def test_a_token_that_is_too_long_is_told():
    result = look_up(UsersJob((user("long"),), tokens=True))
    assert (result.found, result.unknown) == (("",), {0})
    assert "2000 characters, not 2001" in result.error


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_token(name):
    assert look_up(UsersJob((user(name),), tokens=True)) == UsersResult(("",))


def test_a_tokenizer_that_is_not_there(settings):
    settings.SERVERPUSH_TOKENIZER = "nowhere.tokenizer"
    result = look_up(UsersJob((user("ann"),), tokens=True))
    assert result.unknown == {0}
    assert "nowhere" in result.error


def test_a_table_that_is_not_there(monkeypatch):
    monkeypatch.setattr(User.objects, "in_bulk", broken)
    assert look_up(UsersJob(("1",))) == UsersResult((), "DatabaseError: no such table")


def broken(keys):
    raise DatabaseError("no such table")


def test_a_project_without_users():
    answers = printed(
        "nobody",
        """
    from serverpush.jobs import UsersJob
    from serverpush.renderer.users import look_up

    print(look_up(UsersJob(("1",))).found)
    """,
    )
    assert answers == ["(None,)"]
