"""A hot page and a quiet one, with the same update."""

import time

from django.http import HttpResponse
from django.urls import path

from tests.project.models import Author

WORK = 0.005


def page(request, pk):
    return HttpResponse("<!doctype html><title>page</title><body>page</body>")


def page_update(request, pk):
    return [{"name": "bench", "model": Author, "params": {"pk": pk}, "serializer": work}]


def work(request, author, data):
    """Computes for 5 ms, for each visitor anew, as it says by what browser it is seen."""
    until = time.process_time() + WORK
    while time.process_time() < until:
        pass
    return f"{author.name} {request.headers['User-Agent']}"


urlpatterns = [path("page/<int:pk>/", page)]
