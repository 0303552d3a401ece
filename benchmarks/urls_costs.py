"""A page without updates, and one with three."""

from django.http import HttpResponse
from django.urls import path

from tests.project.models import Author, Book

HTML = "<!doctype html><title>page</title><body><h1>page</h1></body>"


def plain(request):
    return HttpResponse(HTML)


def three(request):
    return HttpResponse(HTML)


def three_update(request):
    return [
        {"name": "author", "model": Author, "params": {"pk": 1}, "data": ["name"]},
        {"name": "books", "model": Book, "params": {"title": "Emma"}, "data": ["title"]},
        {"name": "all", "model": Author, "data": ["name"]},
    ]


urlpatterns = [path("plain/", plain), path("three/", three)]
