"""A number that every window follows."""

from django.db.models import F
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from pages.models import Counter


def counter(request):
    return render(request, "pages/counter.html", {"counter": Counter.objects.get(pk=1)})


def counter_update(request):
    return [{"name": "counter", "model": Counter, "data": ["value"]}]


@require_POST
def increment(request):
    counter = Counter.objects.get(pk=1)
    counter.value = F("value") + 1
    counter.save()
    return redirect("counter")
