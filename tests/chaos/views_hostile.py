"""Two pages: a small one that others watch, and a big one for who does not read."""

import time

from django.http import HttpResponse
from django.urls import path

from tests.project.models import Author

SMALL, BIG = 1, 2
BIG_BYTES = 900_000


def small(request):
    return HttpResponse("<!doctype html><title>small</title><body>small</body>")


def small_update(request):
    about = {"model": Author, "params": {"pk": SMALL}}
    return [{"name": "small", "serializer": named, **about}]


def named(request, author, data):
    return {"name": author.name}


def big(request):
    return HttpResponse("<!doctype html><title>big</title><body>big</body>")


def big_update(request):
    # Shared by all, as a rendering that reads nothing of its request.
    about = {"model": Author, "params": {"pk": BIG}}
    return [{"name": "big", "serializer": bytes_of_text, **about}]


def bytes_of_text(request, author, data):
    """What is the same is not sent again."""
    return f"{time.time_ns():x>{BIG_BYTES}}"


urlpatterns = [path("small/", small), path("big/", big)]
