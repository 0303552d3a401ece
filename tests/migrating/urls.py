"""The demo's URLs, and the examples of the migration pages as pages and calls."""

import os
from pathlib import Path

from demosite.urls import urlpatterns as demo
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import engines
from django.urls import include, path
from pages.models import Book
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet
from tastypie.api import Api
from tastypie.authorization import Authorization
from tastypie.resources import ModelResource

from tests.migrating import docs

HEAD = "<!doctype html><title>An example</title><body>"


class BookSerializer(ModelSerializer):
    class Meta:
        model = Book
        fields = ["title"]


class BookViewSet(ModelViewSet):
    queryset = Book.objects.all()
    serializer_class = BookSerializer


class BookResource(ModelResource):
    class Meta:
        queryset = Book.objects.all()
        resource_name = "book"
        authorization = Authorization()


router = SimpleRouter()
router.register("books", BookViewSet)
tastypie = Api(api_name="v1")
tastypie.register(BookResource())


def note(*words):
    """In the place of ``print``."""
    with (Path(os.environ["MIGRATING_FOLDER"]) / "printed").open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def run(code, **names):
    exec(compile(code, "a migration page", "exec"), names)
    return names


def example(request, system, number):
    """The page's HTML block of that number."""
    source = HEAD + docs.blocks(system, "html")[number]
    context = {"book": Book.objects.first()}
    return HttpResponse(engines["django"].from_string(source).render(context, request))


def call(request, system, number):
    """Do what the page's Python block of that number does."""
    run(docs.blocks(system, "python")[number], book=Book.objects.first())
    return HttpResponse("done")


def choose(request, number):
    """Let books have the URLs of the block of that number."""
    get_api_url = run(docs.blocks("django-pushy", "python")[number])["get_api_url"]
    Book.get_api_url = get_api_url
    return HttpResponse(Book.objects.first().get_api_url())


def save(request, title):
    book = Book.objects.first()
    book.title = title
    book.save()
    return HttpResponse("saved")


def log_in(request, name):
    login(request, User.objects.get(username=name))
    return HttpResponse("in")


# In the site and in the renderers, as the page has it.
run(docs.blocks("django-pushserver", "python")[1], print=note)

urlpatterns = [
    *demo,
    path("example/<str:system>/<int:number>/", example),
    path("call/<str:system>/<int:number>/", call),
    path("choose/<int:number>/", choose),
    path("save/<str:title>/", save),
    path("in/<str:name>/", log_in),
    path("rest/", include(router.urls)),
    path("tastypie/", include(tastypie.urls)),
]
