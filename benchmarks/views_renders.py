"""A public page with a function as its serializer: nothing is declared of who shares it."""

from django.http import HttpResponse
from django.template import engines
from django.urls import path

from benchmarks.peers import TEMPLATE
from tests.project.models import Author


def page(request, pk):
    return HttpResponse("<!doctype html><title>page</title><body>page</body>")


def page_update(request, pk):
    return [{"name": "bench", "model": Author, "params": {"pk": pk}, "serializer": rendered}]


def rendered(request, author, data):
    context = {"author": author, "numbers": range(5)}
    return engines["django"].from_string(TEMPLATE).render(context, request)


urlpatterns = [path("page/<int:pk>/", page)]
