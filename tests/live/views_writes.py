"""Pages that write when they are only to be read."""

from django.http import HttpResponse
from django.urls import path

from tests.live.views import save_author
from tests.project.models import Author

COUNTER, FENCE = 1, 2


def counter(request):
    """Counts its hits, whoever asks for it and whatever for."""
    author, _ = Author.objects.get_or_create(pk=COUNTER, defaults={"name": "0"})
    author.name = str(int(author.name) + 1)
    author.save()
    return HttpResponse(f"<!doctype html><title>hits</title><body>{author.name}</body>")


def counter_update(request):
    return [
        {"name": "hits", "model": Author, "params": {"pk": COUNTER}, "serializer": "counter"},
        {"name": "fence", "model": Author, "params": {"pk": FENCE}, "data": ["name"]},
    ]


def broken(request):
    """Counts its hits, and what shows them is broken."""
    return counter(request)


def broken_update(request):
    about = {"model": Author, "params": {"pk": COUNTER}}
    return [{"name": "hits", "serializer": raises, **about}]


def raises(request, author, data):
    raise RuntimeError("it broke")


def hits(request):
    """How often there was a hit, without making one."""
    return HttpResponse(Author.objects.get(pk=COUNTER).name)


urlpatterns = [
    path("counter/", counter),
    path("broken/", broken),
    path("hits/", hits),
    path("author/<int:pk>/save/", save_author),
]
