"""A bell: what one user writes to another rings in all windows of the other, whatever they show."""

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from pages.forms import NoteForm
from pages.models import Note
from serverpush.client import notify


@login_required
def bell(request, form=None, status=200):
    people = get_user_model().objects.all()
    context = {"notes": Note.latest(request.user), "people": people, "form": form}
    return render(request, "pages/bell.html", context, status=status)


@require_POST
@login_required
def ring(request):
    form = NoteForm(request.POST)
    if not form.is_valid():
        return bell(request, form, status=400)
    form.instance.sender = request.user
    note = form.save()
    data = {"pk": note.pk, "sender": request.user.username, "text": note.text}
    data["unread"] = Note.unread(note.recipient)
    notify(data, users=[note.recipient], event="note")
    return redirect("bell")


@require_POST
@login_required
def seen(request):
    request.user.notes.update(is_seen=True)
    notify({"unread": 0}, users=[request.user], event="seen")
    return redirect("bell")
