"""A hot page and a quiet one, with the same update."""

import time

from django.http import HttpResponse
from django.urls import path

from tests.project.models import Author

WORK = 0.005


def page(request, pk):
    return HttpResponse("<!doctype html><title>page</title><body>page</body>")


def page_update(request, pk):
    # A function is taken to read its request: each visitor has a rendering of their own.
    return [{"name": "bench", "model": Author, "params": {"pk": pk}, "serializer": work}]


def work(request, author, data):
    """Computes for 5 ms."""
    until = time.process_time() + WORK
    while time.process_time() < until:
        pass
    return author.name


urlpatterns = [path("page/<int:pk>/", page)]
