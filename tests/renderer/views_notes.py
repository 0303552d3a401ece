"""Serializers and middleware, each of which reads one thing of its request."""

import copy
import json
import pickle
import threading

from django.contrib.auth.decorators import login_required
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template import engines
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language

from tests.project.models import Book

LOCAL = threading.local()


def nothing(request, book, data):
    return book.title


def by_path(request, book, data):
    return request.path


def by_full_path(request, book, data):
    return request.get_full_path()


def by_match(request, book, data):
    return request.resolver_match.view_name


def by_query(request, book, data):
    return request.GET.get("a")


def by_raw_query(request, book, data):
    return request.META["QUERY_STRING"]


def by_cookie(request, book, data):
    return request.COOKIES.get("theme")


def by_two_cookies(request, book, data):
    return ["theme" in request.COOKIES, request.COOKIES.get("size")]


def by_all_cookies(request, book, data):
    return dict(request.COOKIES)


def by_session(request, book, data):
    return request.session.get("name")


def by_session_key(request, book, data):
    return request.session.session_key


async def by_session_later(request, book, data):
    return await request.session.aget("name")


def by_user(request, book, data):
    return request.user.username


async def by_user_later(request, book, data):
    return (await request.auser()).username


def by_template(request, book, data):
    return engines["django"].from_string("{{ book.title }}").render({"book": book}, request)


def by_user_in_template(request, book, data):
    return engines["django"].from_string("{{ user.username }}").render({}, request)


def by_perms_in_template(request, book, data):
    return engines["django"].from_string("{% if perms.auth %}x{% endif %}").render({}, request)


def by_messages_in_template(request, book, data):
    source = "{% for message in messages %}{{ message }}{% endfor %}"
    return engines["django"].from_string(source).render({}, request)


def by_csrf(request, book, data):
    return bool(get_token(request))


def by_csrf_in_template(request, book, data):
    return engines["django"].from_string("{% csrf_token %}").render({}, request)


def by_language_header(request, book, data):
    return request.headers.get("Accept-Language")


def by_browser(request, book, data):
    return request.META.get("HTTP_USER_AGENT")


def by_address(request, book, data):
    return request.META["REMOTE_ADDR"]


def by_all_headers(request, book, data):
    return sorted(request.headers)


def by_headers_as_text(request, book, data):
    return repr(request.headers)


def by_another_environ(request, book, data):
    return request.META != {}


def by_a_copied_session(request, book, data):
    return pickle.loads(pickle.dumps(copy.deepcopy(request.session))).get("name")


def by_copied_headers(request, book, data):
    return copy.deepcopy(request.headers).get("Cookie")


def by_copied_attributes(request, book, data):
    other = HttpRequest()
    other.__dict__.update(request.__dict__)
    return [other.path, other.GET.get("a"), other.COOKIES.get("theme"), other.user.pk]


def by_a_cookie_that_it_deletes(request, book, data):
    try:
        del request.COOKIES["theme"]
    except KeyError:
        return "none"
    return "one"


def by_cookies_as_json(request, book, data):
    return json.dumps(request.COOKIES)


def past_their_methods(request, book, data):
    return json.dumps(dict(list(dict.items(request.COOKIES))))


def by_absolute_uri(request, book, data):
    return [request.build_absolute_uri(), request.build_absolute_uri()]


def by_accepted_types(request, book, data):
    return request.accepts("text/html")


def by_an_empty_session(request, book, data):
    return request.session.is_empty()


def by_whole_environ(request, book, data):
    return sorted({**request.META})


def by_language_code(request, book, data):
    return request.LANGUAGE_CODE


def by_host(request, book, data):
    return [request.get_host(), request.is_secure(), request.method, request.headers.get("X-Any")]


def by_what_was_put_there(request, book, data):
    return request.META["PUT_THERE"]


def by_a_thread(request, book, data):
    return LOCAL.theme


def by_a_languages_thread(request, book, data):
    return [LOCAL.language, request.LANGUAGE_CODE]


def page(request):
    return render(request, "page.html") if request.GET else HttpResponse("page")


def page_update(request):
    return [{"name": "page", "model": Book, "serializer": page}]


def page_that_asks(request):
    return HttpResponse("page")


def page_that_asks_update(request):
    return [{"name": f"page-of-{request.user.pk}", "model": Book, "serializer": page_that_asks}]


@login_required
def members(request):
    return HttpResponse("for members")


def members_update(request):
    return [{"name": "members", "model": Book, "serializer": members}]


class PutsThere:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.META["PUT_THERE"] = "x"
        return self.get_response(request)


class ThemeInAThread(PutsThere):
    def __call__(self, request):
        LOCAL.theme = request.COOKIES.get("theme")
        return self.get_response(request)


def asks_by_view(get_response):
    def middleware(request):
        return get_response(request)

    middleware.process_view = lambda request, view, args, kwargs: None
    return middleware


def gives_one_that_asks_by_view(get_response):
    return AsksByView(get_response)


class RequestInAThread(PutsThere):
    def __call__(self, request):
        LOCAL.request = request
        return self.get_response(request)


class LanguageInAThread(PutsThere):
    def __call__(self, request):
        LOCAL.language = get_language()
        return self.get_response(request)


class UserByTheme(PutsThere):
    """Puts a user there that is made when somebody looks, by a cookie of its own."""

    def __call__(self, request):
        found = request.user
        request.user = SimpleLazyObject(lambda: self.user(request, found))
        return self.get_response(request)

    @staticmethod
    def user(request, found):
        found.theme = request.COOKIES.get("theme")
        return found


class StorageByTheme(CookieStorage):
    def __init__(self, request):
        super().__init__(request)
        self.theme = request.COOKIES.get("theme")


class LooksAtTheAnswer(PutsThere):
    def __call__(self, request):
        response = self.get_response(request)
        request.user.is_authenticated
        return response


class AsksByView(PutsThere):
    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        return None


TEMPLATES = (
    "{{ user }}",
    "{% if user.is_authenticated %}{{ request.GET.a }}{% else %}{{ request.path }}{% endif %}",
    "{% if messages %}x{% endif %}{% if perms.auth.add_user %}{{ request.COOKIES.a }}{% endif %}",
    "{{ LANGUAGE_CODE }}{{ request.META.HTTP_USER_AGENT }}",
)
READERS = {
    "cookie": lambda request, name: request.COOKIES.get(name),
    "query": lambda request, name: request.GET.get(name),
    "session": lambda request, name: request.session.get(name),
    "header": lambda request, name: request.headers.get(name),
    "path": lambda request, name: request.path,
    "address": lambda request, name: request.META.get("REMOTE_ADDR"),
    "user": lambda request, name: request.user.username,
    "full": lambda request, name: request.build_absolute_uri(),
    "template": lambda request, name: (
        engines["django"].from_string(TEMPLATES[int(name)]).render({}, request)
    ),
}


def program(request, book, data):
    """Read one thing after another; each says what is read after it, by its value."""
    found = []
    for what, name, more in data:
        value = READERS[what](request, name)
        found.append(value)
        if value:
            found.append(program(request, book, more))
    return found
