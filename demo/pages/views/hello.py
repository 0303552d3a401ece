"""Three greetings side by side, and the form that renames who is greeted."""

from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from pages.forms import PersonForm
from pages.models import Person

SERIALIZERS = [
    {
        "title": "A field map",
        "text": "Name the fields that the page needs. Its script puts them in place.",
        "url": "hello_fields",
        "python": "pages.views.hello_fields.hello_update",
        "javascript": "demo/username_change.js",
    },
    {
        "title": "A function",
        "text": "Render the new piece in Python. The script only swaps it in.",
        "url": "hello_function",
        "python": "pages.views.hello_function.hello_update "
        "pages.views.hello_function.hello_update_serializer",
        "javascript": "demo/reload.js",
    },
    {
        "title": "The view itself",
        "text": "Let the view render again. One script then serves the whole site.",
        "url": "hello_view",
        "python": "pages.views.hello_view.hello pages.views.hello_view.hello_update",
        "javascript": "demo/reload.js",
    },
]


def greetings(request):
    return _page(request, PersonForm(instance=Person.objects.get(pk=1)))


def greetings_update(request):
    return [{"name": "reload", "model": Person, "serializer": "greetings"}]


@require_POST
def rename(request):
    form = PersonForm(request.POST, instance=Person.objects.get(pk=1))
    if not form.is_valid():
        return _page(request, form, status=400)
    form.save()
    return redirect("hello")


def _page(request, form, status=200):
    context = {"form": form, "serializers": SERIALIZERS}
    return render(request, "pages/hello.html", context, status=status)
