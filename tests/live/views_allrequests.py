"""The site of ``--allrequests``: what a proxy may spoil, and a live page."""

import hashlib
import os
import signal
import threading

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.live import views
from tests.project.models import Author


@csrf_exempt
def echo(request):
    body = request.read()
    return JsonResponse(
        {
            "method": request.method,
            "path": request.get_full_path(),
            "size": len(body),
            "digest": hashlib.sha256(body).hexdigest(),
            "peer": request.META["REMOTE_ADDR"],
            "host": request.get_host(),
            "port": request.get_port(),
            "headers": {
                name: value
                for name, value in request.headers.items()
                if name.startswith(("X-", "Te", "Upgrade"))
            },
        }
    )


@csrf_exempt
def refuse(request):
    """Answers without having read the body."""
    return HttpResponse("too much", status=413)


def two_cookies(request):
    response = HttpResponseRedirect("/elsewhere/")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


def stream(request):
    """Its second half comes when the row is there that only whoever reads the first makes."""

    def halves():
        yield "first\n"
        while not Author.objects.filter(name="go on").exists():
            pass
        yield "second\n"

    return StreamingHttpResponse(halves(), content_type="text/plain")


def save_go_on(request):
    Author.objects.create(name="go on")
    return HttpResponse("saved")


def cut(request):
    """Promises more than it gives."""

    def half():
        yield b"x" * 1000
        raise RuntimeError("no more")

    response = StreamingHttpResponse(half())
    response["Content-Length"] = "2000"
    return response


def headers(request):
    """More than http.client takes."""
    response = HttpResponse("many")
    for number in range(120):
        response[f"X-{number}"] = "1"
    return response


def threads(request):
    return HttpResponse(str(threading.active_count()))


def empty(request):
    return HttpResponse(status=204)


def die(request):
    os.kill(os.getpid(), signal.SIGKILL)


urlpatterns = [
    path("échø/", echo),
    path("refuse/", refuse),
    path("two-cookies/", two_cookies),
    path("stream/", stream),
    path("go-on/", save_go_on),
    path("empty/", empty),
    path("cut/", cut),
    path("headers/", headers),
    path("threads/", threads),
    path("die/", die),
    path("author/<int:pk>/", views.author),
    path("author/<int:pk>/save/", views.save_author),
]
