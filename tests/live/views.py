"""The pages of the live test site; the first ones are the original README's."""

import contextlib
import os
import time
from pathlib import Path

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from tests.project.models import Author, Book

BOOKS = {"name": "reload", "model": Book, "serializer": "books"}


def by_map(request):
    return render(request, "live/hello.html", {"handler": "username_change"})


def by_map_update(request):
    return [
        {
            "name": "username_change",
            "model": User,
            "params": {"pk": request.user.pk},
            "data": {"username": "object.username"},
        }
    ]


def by_function(request):
    return render(request, "live/hello.html", {"handler": "reload"})


def by_function_update(request):
    return [
        {
            "name": "reload",
            "model": User,
            "params": {"pk": request.user.pk},
            "serializer": by_function_serializer,
        }
    ]


def by_function_serializer(request, user, data):
    return f"Hey, {user.username}!"


def hello(request, user=None, data=None):
    if user is not None:
        return HttpResponse(f"Hey, {user.username}!")
    return render(request, "live/hello.html", {"handler": "reload"})


def hello_update(request):
    return [
        {
            "name": "reload",
            "model": User,
            "params": {"pk": request.user.pk},
            "serializer": "hello",
        }
    ]


def author(request, pk):
    """A public page about one author."""
    return render(request, "live/author.html", {"author": get_object_or_404(Author, pk=pk)})


def author_update(request, pk):
    return [{"name": "author", "model": Author, "params": {"pk": pk}, "data": ["name", "email"]}]


def deferred(request, pk):
    """A page whose own script is deferred, and comes after ours."""
    return render(request, "live/deferred.html", {"author": get_object_or_404(Author, pk=pk)})


deferred_update = author_update


def mark(request, pk):
    """A page with nothing but the timestamp and the script; streamed, so nothing is put in."""
    context = {"author": get_object_or_404(Author, pk=pk), "port": settings.SERVERPUSH_PORT}
    page = render(request, "live/mark.html", context).content
    return StreamingHttpResponse([page])


mark_update = author_update


def bench(request, pk):
    """The page that the benchmarks watch."""
    return HttpResponse("<!doctype html><title>bench</title><body>bench</body>")


def bench_update(request, pk):
    return [{"name": "bench", "model": Author, "params": {"pk": pk}, "data": ["name"]}]


def authors(request):
    """A page about every author."""
    return HttpResponse("<!doctype html><title>authors</title><body>authors</body>")


def authors_update(request):
    return [{"name": "author", "model": Author, "data": ["name"]}]


def books(request):
    """A list page whose serializer is its own view."""
    return render(request, "live/books.html", {"books": Book.objects.order_by("pk")})


def books_update(request):
    return [BOOKS]


def mixed(request):
    """Several updates, some of which fail."""
    return HttpResponse("<!doctype html><title>mixed</title><body>mixed</body>")


def mixed_update(request):
    about = {"model": Author, "params": {"pk": 1}}
    return [
        {"name": "fine", "data": ["name"], **about},
        {"name": "raises", "serializer": raises, **about},
        {"name": "nan", "serializer": nan, **about},
        {"name": "hangs", "serializer": hangs, **about},
        {"name": "missing", "data": {"name": "object.name", "no": "object.nothing"}, **about},
    ]


def raises(request, instance, data):
    raise RuntimeError("it broke")


def nan(request, instance, data):
    return float("nan")


def hangs(request, instance, data):
    """Hangs for a slow author; the first time for one who waits, saying who it is.

    The sleeps are the fault that is tested: the push server has to end them.
    """
    while instance.name == "slow":
        # The fault: the push server has to end it.
        time.sleep(3600)
    if instance.name.startswith("wait:"):
        flag = Path(instance.name.removeprefix("wait:"))
        if not flag.read_text():
            flag.write_text(str(os.getpid()))
            # The fault: the test kills this process.
            time.sleep(3600)
    return instance.name


def save_author(request, pk):
    Author.objects.update_or_create(pk=pk, defaults={"name": request.GET["name"]})
    return HttpResponse("saved", headers={"X-Process": os.getpid()})


def roll_back(request, pk):
    """Saves, and takes it back: in a transaction, and in a savepoint."""
    with transaction.atomic():
        Author.objects.filter(pk=pk).first().save()
        transaction.set_rollback(True)
    with transaction.atomic(), contextlib.suppress(ValueError), transaction.atomic():
        Author(pk=pk, name="never").save()
        raise ValueError
    return HttpResponse("rolled back")


def log_in(request, name):
    login(request, User.objects.get(username=name))
    return redirect(request.GET.get("next", "/"))


def log_out(request):
    logout(request)
    return redirect("/")
