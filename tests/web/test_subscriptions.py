"""The tags that let a page follow channels, routes and its user."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.template import Context, RequestContext, Template, TemplateSyntaxError

from serverpush.exceptions import BadToken, InvalidMessage, TokenExpired
from serverpush.tokens import (
    session_hash,
    sign_topic,
    tokenize,
    verify_page,
    verify_topic,
    verify_user,
)
from serverpush.web import subscriptions
from tests.users import saved

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = "tests.web.urls"


def rendered(client, tag, path="/tagged/"):
    response = client.get(path, {"source": "{% load serverpush %}<body><i>{% " + tag + " %}</i>"})
    text = response.content.decode()
    return text[text.index("<i>") + 3 : text.index("</i>")], response


@pytest.fixture
def ada(client):
    user = User.objects.create_user("ada")
    client.force_login(user)
    return user


def test_a_channel_for_a_session(client, ada):
    token, response = rendered(client, "channel_token 'news'")
    hashed = session_hash(client.cookies["sessionid"].value)
    assert verify_topic(token) == ("channel:news", hashed, "")
    assert "Cookie" in response.headers["Vary"]


def test_a_channel_for_a_visitor_without_a_session(client):
    token, _ = rendered(client, "channel_token 'news'")
    assert verify_topic(token) == ("channel:news", "", "")


def test_a_session_that_is_no_more_is_none(client, settings):
    client.cookies[settings.SESSION_COOKIE_NAME] = "g" * 32
    token, _ = rendered(client, "channel_token 'news'")
    assert verify_topic(token) == ("channel:news", "", "")


def test_where_the_session_is_its_cookie_the_user_counts(client, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    user = User.objects.create_user("ada")
    client.force_login(user)
    token, _ = rendered(client, "channel_token 'news'")
    assert verify_topic(token) == ("channel:news", "", str(user.pk))


def test_a_route(client):
    token, _ = rendered(client, "route_token '/api/1/'")
    assert verify_topic(token)[0] == "route:/api/1/"


def test_an_instances_route(rf):
    class Book:
        def get_api_url(self):
            return "/api/books/1/"

    token = subscriptions.route_token(rf.get("/"), Book())
    assert verify_topic(token)[0] == "route:/api/books/1/"


def test_the_users_token(client, ada):
    token, _ = rendered(client, "serverpush_token")
    assert verify_user(token)[0] == str(ada.pk)


def test_nobodys_is_empty(client):
    assert rendered(client, "serverpush_token")[0] == ""


def test_the_tokenizer_of_the_project(client, ada, settings):
    settings.SERVERPUSH_TOKENIZER = "tests.web.test_subscriptions.my_tokenizer"
    assert rendered(client, "serverpush_token")[0] == "my ada"


def my_tokenizer(user):
    return f"my {user.username}"


@pytest.mark.parametrize("character", sorted(subscriptions.UNSAFE))
def test_a_token_that_a_page_would_escape_is_refused(rf, ada, settings, monkeypatch, character):
    settings.SERVERPUSH_TOKENIZER = f"{__name__}.unsafe"
    monkeypatch.setattr(ada, "username", f"a{character}b", raising=False)
    request = rf.get("/")
    request.user = ada
    with pytest.raises(InvalidMessage, match="SERVERPUSH_TOKENIZER") as caught:
        subscriptions.user_token(request)
    assert ada.username not in str(caught.value)


def unsafe(user):
    return user.username


def test_a_user_without_a_token(client, ada, settings):
    settings.SERVERPUSH_TOKENIZER = f"{__name__}.no_token"
    client.force_login(ada)
    assert rendered(client, "serverpush_token")[0] == ""


def no_token(user):
    return None


def test_a_page_that_uses_one_gets_record_and_script(client, ada):
    _, response = rendered(client, "channel_token 'news'")
    text = response.content.decode()
    assert "serverpush-page" in text
    assert "serverpush.js" in text


def test_a_name_that_no_channel_can_have(rf):
    with pytest.raises(InvalidMessage, match="1 to 200"):
        subscriptions.channel_token(rf.get("/"), "x" * 201)


def test_without_a_request_it_says_so():
    with pytest.raises(TemplateSyntaxError, match="channel_token"):
        Template("{% load serverpush %}{% channel_token 'x' %}").render(Context())


def test_with_a_request_of_the_context_alone(rf):
    source = "{% load serverpush %}{% channel_token 'x' %}"
    assert verify_topic(Template(source).render(RequestContext(rf.get("/"))))


class TestTokens:
    def test_of_another_use_are_none(self):
        user = tokenize(saved(7))
        topic = sign_topic("channel:news", "", "")
        for verify, token in ((verify_topic, user), (verify_user, topic), (verify_page, topic)):
            with pytest.raises(BadToken):
                verify(token)

    def test_who_leaves_may_have_an_old_one(self, settings):
        token = sign_topic("channel:news", "", "")
        settings.SERVERPUSH_TOKEN_MAX_AGE = 1e-9
        with pytest.raises(TokenExpired):
            verify_topic(token)
        assert verify_topic(token, ages=False)[0] == "channel:news"

    def test_their_age(self, settings):
        topic = sign_topic("channel:news", "", "")
        settings.SERVERPUSH_TOKEN_MAX_AGE = 1e-6
        with pytest.raises(TokenExpired):
            verify_topic(topic)

    @pytest.mark.parametrize("user", [None, User(), 7])
    def test_of_nobody(self, user):
        with pytest.raises(ValueError, match="not a user"):
            tokenize(user)
