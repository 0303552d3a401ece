"""Views and serializers, one for each thing that a rendering can be or do."""

import datetime as dt
import os
import subprocess
import sys
import threading
import time
import uuid
from decimal import Decimal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.http import (
    Http404,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template import engines
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import cache_page
from django.views.generic import View

from serverpush.exceptions import ServerPushError
from tests.project.models import Author, Book

SHELF = {"name": "shelf", "model": Book, "serializer": "shelf"}


def template(text):
    return engines["django"].from_string(text)


def hello(request, user=None, data=None):
    return HttpResponse(f"Hey, {request.user.username}! {user and user.username} {data}")


def hello_update(request):
    return [{"name": "reload", "model": User, "params": {"pk": request.user.pk}}]


def hello_serializer(request, user, data):
    return f"Hey, {user.username}!"


def shelf(request):
    return HttpResponse(",".join(Book.objects.order_by("title").values_list("title", flat=True)))


def shelf_update(request):
    return [SHELF]


@login_required
def private(request):
    return HttpResponse(f"secret of {request.user.username}")


def private_update(request):
    return [{**SHELF, "serializer": "private"}]


def missing(request):
    raise Http404


def forbidden(request):
    raise PermissionDenied


def moved(request):
    return HttpResponseRedirect("/elsewhere/")


def broken(request):
    raise ValueError("no luck")


def broken_update(request):
    return [{**SHELF, "serializer": "broken"}]


def raising(request):
    return HttpResponse("fine")


def raising_update(request):
    raise ValueError("the update function has no luck")


def cached(request):
    return HttpResponse(str(Book.objects.count()))


cached = cache_page(600)(cached)


def as_json(request):
    return JsonResponse({"n": 1, "text": "é"})


def not_json(request):
    return HttpResponse('{"n": NaN}', content_type="application/json")


def image(request):
    return HttpResponse(b"\x89PNG", content_type="image/png")


def latin(request):
    return HttpResponse("é".encode("latin-1"), content_type="text/html; charset=iso-8859-1")


def streamed(request):
    return StreamingHttpResponse(part for part in ("a", "é"))


async def asynchronous(request):
    return HttpResponse(f"{await Book.objects.acount()} books")


async def streamed_asynchronously(request):
    async def parts():
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(parts())


def templated(request):
    return TemplateResponse(request, template("{{ request.path }}"), {})


def counting(request):
    Author.objects.create(name="visitor")
    return HttpResponse(str(Author.objects.count()))


def counting_update(request):
    return [{"name": "seen", "model": Author, "params": {"name": "visitor"}, "data": ["name"]}]


@transaction.non_atomic_requests
def loose(request):
    return HttpResponse("not atomic")


def durable(request):
    with transaction.atomic(durable=True):
        Author.objects.create(name="durable")
    return HttpResponse("stored")


def numbered(request, number):
    return HttpResponse(f"number {number}")


def positional(request, user=None, data=None):
    return HttpResponse(f"{user} {data}")


def ask(request):
    """What a request says of itself."""
    return HttpResponse(
        "|".join(
            [
                request.headers.get("X-Requested-With", "-"),
                request.get_full_path(),
                request.get_host(),
                request.scheme,
                request.META["REMOTE_ADDR"],
                request.GET.get("q", "-"),
                request.headers.get("User-Agent", "-"),
                translation.get_language(),
            ]
        )
    )


def ask_update(request):
    by_script = request.headers.get("X-Requested-With") == "XMLHttpRequest"
    return [{"name": "by_script" if by_script else "by_browser", "model": Book}]


def ask_members(request):
    return HttpResponse("members only")


async def session_asynchronously(request):
    await request.session.aset("touched", 5)
    await request.session.asave()
    key = request.session.session_key
    await request.session.acycle_key()
    assert request.session.session_key == key
    touched = await request.session.aget("touched")
    await request.session.aflush()
    await request.session.acreate()
    return HttpResponse(touched)


def with_user(request):
    return HttpResponse(request.user.username)


def with_user_update(request):
    return [{**SHELF, "serializer": "with_user"}]


def language(request):
    return HttpResponse(translation.get_language())


def with_session(request):
    request.session["cart"] = 1
    request.session.save()
    return HttpResponse("made")


def with_session_update(request):
    return [{**SHELF, "serializer": "with_session"}]


class Board(View):
    title = "none"

    def get(self, request):
        return HttpResponse(f"{self.title}: {Book.objects.count()}")

    def get_updates(self):
        return [{"name": "board", "model": Book, "serializer": Board}]


# Serializers that are functions


def everything(request, book, data):
    return {
        "title": book.title,
        "date": dt.date(2026, 1, 2),
        "time": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "price": Decimal("1.50"),
        "uuid": uuid.UUID(int=1),
        "lazy": gettext_lazy("Monday"),
        "data": data,
    }


def lazy(request, book, data):
    return gettext_lazy("Monday")


def nan(request, book, data):
    return {"value": float("nan")}


def unserializable(request, book, data):
    return {"value": object()}


def half_a_pair(request, book, data):
    return "\ud800"


def circular(request, book, data):
    value = []
    value.append(value)
    return value


def leaving(request, book, data):
    raise SystemExit(3)


def interrupted(request, book, data):
    raise KeyboardInterrupt


def failing(request, book, data):
    raise ValueError(f"no luck\nwith {book.title}")


def not_found(request, book, data):
    raise Http404


async def awaiting(request, book, data):
    return (await Book.objects.aget(pk=book.pk)).title


def key_only(request, book, data):
    return [book.pk, book._meta.label, getattr(book, "title", None)]


def writing(request, book, data):
    Author.objects.create(name="written while rendering")
    return "done"


def writing_quietly(request, book, data):
    try:
        Author.objects.create(name="written while rendering")
    except ServerPushError:
        return "caught"
    return "done"


def marks_of_the_session(request, book, data):
    return [request.session.accessed, request.session.modified]


def month(request, book, data):
    return date_format(book.published, "F")


def month_in_a_template(request, book, data):
    return TemplateResponse(request, template("{{ day|date:'F' }}"), {"day": book.published})


def touching_session(request, book, data):
    request.session["touched"] = data
    request.session.save()
    return [request.session["touched"], bool(request.session.session_key)]


def flushing_session(request, book, data):
    request.session.flush()
    return request.session.session_key


def cycling_session(request, book, data):
    before = request.session.session_key
    request.session.cycle_key()
    return request.session.session_key == before


def creating_session(request, book, data):
    request.session.create()
    request.session["here"] = 1
    return [request.session["here"], len(request.session.session_key)]


def deleting_session(request, book, data):
    request.session.delete()
    type(request.session).clear_expired()
    return "deleted"


def reading_messages(request, book, data):
    return [str(each) for each in messages.get_messages(request)]


def leaking(request, book, data):
    found = [translation.get_language(), timezone.get_current_timezone_name()]
    translation.activate("de")
    timezone.activate("Asia/Tokyo")
    return found


def hanging(request, book, data):
    with open(data, "w") as started:
        started.write(str(os.getpid()))
    threading.Event().wait()


def whoami(request, book, data):
    return [request.user.username, request.session.get("secret")]


def slow_clock(request, book, data):
    return time.time()


def hanging_in_a_write(request, book, data):
    """Fill the standard output, which nobody reads, and hold its lock."""
    while True:
        print("x" * 65536)


def starting_a_child(request, book, data):
    """Does a child process have the socket to the push server?"""
    found = subprocess.run(
        ["sh", "-c", "ls -l /proc/self/fd"],
        capture_output=True,
        text=True,
        check=True,
        close_fds=False,
    )
    return "socket:" in found.stdout


def printing(request, book, data):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return sys.stdin.read()


opened = []
connection_created.connect(lambda **kwargs: opened.append(1), weak=False)


def connection_number(request, book, data):
    """How many connections this process has opened."""
    connection.ensure_connection()
    return len(opened)
