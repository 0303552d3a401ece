"""Pages that get messages: public ones, a user's, and a room with a channel."""

import json

from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

from serverpush.client import disconnect, notify, notify_all, push_route, send_update

PAGE = "<!doctype html><title>page</title><body>{}</body>"
PUBLIC = PAGE.format("{% load serverpush %}{% serverpush_scripts %}")
ROOM = PAGE.format(
    "{% load serverpush %}"
    '<script id="tokens" type="application/json">'
    '{"channel": "{% channel_token room %}", "user": "{% serverpush_token %}",'
    ' "route": "{% route_token route %}"}</script>'
)


def shown(request, source, **context):
    return HttpResponse(engines["django"].from_string(source).render(context, request))


def public(request):
    """The same for everybody: who sees it is nobody's business here."""
    return shown(request, PUBLIC)


def room(request, room):
    return shown(request, ROOM, room=room, route=f"/api/{room}/")


def log_in(request, name):
    user, _ = User.objects.get_or_create(username=name)
    login(request, user)
    return JsonResponse({"pk": user.pk})


def log_out(request):
    logout(request)
    return HttpResponse("bye")


def send(request):
    """Do what the query says: ``{"notify": [[data, users], {}]}`` and so on."""
    functions = {
        "notify": notify,
        "notify_all": notify_all,
        "send_update": send_update,
        "push_route": push_route,
        "disconnect": disconnect,
    }
    with transaction.atomic():
        for name, arguments in json.loads(request.GET["do"]).items():
            functions[name](*arguments)
        if "back" in request.GET:
            transaction.set_rollback(True)
    return HttpResponse("sent")


urlpatterns = [
    path("public/", public),
    path("room/<str:room>/", room),
    path("log-in/<str:name>/", log_in),
    path("log-out/", log_out),
    path("send/", send),
]
