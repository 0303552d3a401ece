"""A greeting that keeps itself up to date: its serializer is the view."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.html import format_html

from pages.models import Person


def hello(request, person=None, data=None):
    if person:  # run again, for an open page
        hey = format_html("Hey, {}!", person.name)
        return HttpResponse(hey)
    context = {
        "person": Person.objects.get(pk=1),
        "script": "demo/reload.js",
    }
    return render(request, "pages/hey.html", context)


def hello_update(request):
    return [
        {
            "name": "reload",
            "model": Person,
            "params": {"pk": 1},
            "serializer": "hello",
        }
    ]
