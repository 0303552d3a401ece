"""The task board: everybody sees it, who is logged in edits it, all windows agree."""

from functools import wraps

from django.contrib.auth.views import redirect_to_login
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.views.decorators.http import require_POST

from pages.forms import ColumnForm, TitleForm
from pages.models import Task


def tasks(request):
    return render(request, "pages/tasks.html", {"board": Task.board()})


def tasks_update(request):
    return [{"name": "reload", "model": Task, "serializer": "tasks"}]


def editing(view):
    """Only by POST and only logged in; after logging in, the board is shown."""

    @require_POST
    @wraps(view)
    def wrapper(request, *args, **kwargs):
        if not request.user.is_authenticated:
            return redirect_to_login(resolve_url("tasks"))
        return view(request, *args, **kwargs)

    return wrapper


@editing
def add(request):
    return _save(request, TitleForm(request.POST))


@editing
def rename(request, pk):
    return _save(request, TitleForm(request.POST, instance=get_object_or_404(Task, pk=pk)))


@editing
def move(request, pk):
    return _save(request, ColumnForm(request.POST, instance=get_object_or_404(Task, pk=pk)))


@editing
def delete(request, pk):
    Task.objects.filter(pk=pk).delete()
    return redirect("tasks")


def _save(request, form):
    if not form.is_valid():
        context = {"board": Task.board(), "form": form}
        return render(request, "pages/tasks.html", context, status=400)
    form.instance.changed_by = request.user
    form.save()
    return redirect("tasks")
