"""The front page: a live glance at the others. Three models, one serializer: the view."""

from django.shortcuts import render

from pages.models import Counter, Person, Task


def home(request):
    context = {
        "counter": Counter.objects.get(pk=1),
        "person": Person.objects.get(pk=1),
        "board": Task.board(),
    }
    return render(request, "pages/home.html", context)


def home_update(request):
    return [
        {"name": "reload", "model": model, "serializer": "home"}
        for model in (Counter, Person, Task)
    ]
