"""A greeting that a function keeps up to date."""

from django.shortcuts import render
from django.utils.html import format_html

from pages.models import Person


def hello(request):
    context = {"person": Person.objects.get(pk=1), "script": "demo/reload.js"}
    return render(request, "pages/hey.html", context)


def hello_update(request):
    return [
        {
            "name": "reload",
            "model": Person,
            "params": {"pk": 1},
            "serializer": hello_update_serializer,
        }
    ]


def hello_update_serializer(request, person, data):
    return format_html("Hey, {}!", person.name)
