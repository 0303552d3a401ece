"""Rooms: who comes and goes is written down, and some of them may come without a token."""

import os
from pathlib import Path

from django.dispatch import receiver
from django.http import JsonResponse
from django.urls import path

from serverpush.client import presence
from serverpush.signals import channel_subscribe, channel_unsubscribe
from tests.live import views_messages
from tests.project.models import Author


def place_of(channel_id, name):
    """The file by which a test says what becomes of a receiver."""
    return Path(os.environ["LIVE_DATABASE"]).with_name(f"{channel_id} {name}")


def pass_gate(channel_id, sign):
    """Wait where a test holds a gate (a named pipe) of this name."""
    gate = place_of(channel_id, sign)
    if gate.exists():
        gate.read_bytes()


@receiver(channel_subscribe)
def note_coming(sender, request, channel_id, **kwargs):
    if channel_id == "room-broken":
        raise RuntimeError("the door is stuck")
    pass_gate(channel_id, "+")
    Author.objects.create(name=f"{channel_id} + {request.user.username or 'nobody'}")


@receiver(channel_unsubscribe)
def note_leaving(sender, request, channel_id, **kwargs):
    if place_of(channel_id, "raises").exists():
        raise RuntimeError("the door is locked")
    if place_of(channel_id, "dies").exists():
        os._exit(1)
    pass_gate(channel_id, "-")
    Author.objects.create(name=f"{channel_id} - {request.user.username or 'nobody'}")


def may_subscribe(request, channel_id):
    if channel_id == "room-raises":
        raise RuntimeError("nobody knows")
    return channel_id == "room-open" or (
        channel_id == "room-members" and request.user.is_authenticated
    )


def tokenizer(user):
    return f"badge of {user.username} {user.get_session_auth_hash()[:8]}"


def notes(request):
    return JsonResponse(
        {"notes": list(Author.objects.order_by("pk").values_list("name", flat=True))}
    )


def present(request, room):
    return JsonResponse(presence(room))


urlpatterns = [
    *views_messages.urlpatterns,
    path("notes/", notes),
    path("present/<str:room>/", present),
]
