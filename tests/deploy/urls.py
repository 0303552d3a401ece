"""The live test site's URLs, and views that say what they see of the request."""

from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path

from tests.live.urls import urlpatterns as live_urls
from tests.project.models import Author


def seen(request, author=None, data=None):
    return {
        "url": request.build_absolute_uri("/next/"),
        "secure": request.is_secure(),
        "for": request.META.get("HTTP_X_FORWARDED_FOR", ""),
        "host": request.META.get("HTTP_X_FORWARDED_HOST", ""),
    }


def show(request):
    return JsonResponse(seen(request))


def where(request):
    return HttpResponse("<!doctype html><title>where</title><body>where</body>")


def where_update(request):
    return [{"name": "where", "model": Author, "params": {"pk": 1}, "serializer": seen}]


def form(request):
    return HttpResponse(request.method if request.method == "POST" else get_token(request))


urlpatterns = [
    path("show/", show),
    path("where/", where),
    path("form/", form),
    *live_urls,
]
