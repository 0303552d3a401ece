"""A greeting that a field map keeps up to date."""

from django.shortcuts import render

from pages.models import Person


def hello(request):
    context = {"person": Person.objects.get(pk=1), "script": "demo/username_change.js"}
    return render(request, "pages/hey.html", context)


def hello_update(request):
    return [
        {
            "name": "username_change",
            "model": Person,
            "params": {"pk": 1},
            "data": {"username": "object.name|escape"},
        }
    ]
