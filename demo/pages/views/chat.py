"""A chat room: what is said goes to a channel, which also tells who is there."""

from django.contrib.auth.views import redirect_to_login
from django.dispatch import receiver
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_POST

from pages.forms import LineForm
from pages.models import Line
from serverpush.client import send_update
from serverpush.signals import channel_subscribe, channel_unsubscribe

ROOM = "room-lobby"


def chat(request):
    return render(request, "pages/chat.html", {"room": ROOM, "lines": Line.latest()})


@require_POST
def say(request):
    if not request.user.is_authenticated:
        return redirect_to_login(resolve_url("chat"))
    form = LineForm(request.POST)
    if not form.is_valid():
        context = {"room": ROOM, "lines": Line.latest(), "form": form}
        return render(request, "pages/chat.html", context, status=400)
    form.instance.name = request.user.username
    line = form.save()
    send_update(ROOM, {"type": "line", "pk": line.pk, "name": line.name, "text": line.text})
    return redirect("chat")


@receiver(channel_subscribe)
def came(sender, request, channel_id, **kwargs):
    if request.user.is_authenticated:
        send_update(channel_id, {"type": "came", "name": request.user.username})


@receiver(channel_unsubscribe)
def left(sender, request, channel_id, **kwargs):
    if request.user.is_authenticated:
        send_update(channel_id, {"type": "left", "name": request.user.username})
