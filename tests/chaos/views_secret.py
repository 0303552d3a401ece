"""Pages that show each user a secret of theirs, through each kind of serializer."""

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import engines
from django.urls import path

from tests.live.views import save_author
from tests.project.models import Author

TEMPLATE = "{{ author.name }}: {{ user.last_name }}"


def secret_of(request):
    """A user's secret is their last name; nobody's is none."""
    return getattr(request.user, "last_name", "")


def log_in(request, name):
    user = User.objects.get(username=name)
    login(request, user)
    request.session["secret"] = user.last_name
    response = HttpResponse("logged in")
    response.set_cookie("secret", user.last_name)
    return response


def about(name, **options):
    return {"name": name, "model": Author, "params": {"pk": 1}, **options}


def secrets(request):
    """A page for one user, with all kinds of update."""
    return HttpResponse(f"<!doctype html><title>secrets</title><body>{secret_of(request)}</body>")


def secrets_update(request):
    group = request.user.first_name
    return [
        about("map", data={"name": "object.name", "secret": "request.user.last_name"}),
        about("user", serializer=by_user),
        about("session", serializer=by_session),
        about("cookie", serializer=by_cookie),
        about("view", serializer="shown"),
        about("template", serializer="templated"),
        about("group", serializer=by_group, vary=[group]),
        about("public", data=["name"]),
    ]


def by_user(request, author, data):
    return {"name": author.name, "secret": secret_of(request)}


def by_session(request, author, data):
    return {"name": author.name, "secret": request.session.get("secret")}


def by_cookie(request, author, data):
    return {"name": author.name, "secret": request.COOKIES.get("secret")}


def by_group(request, author, data):
    return {"name": author.name, "group": getattr(request.user, "first_name", "")}


def shown(request, author=None, data=None):
    return HttpResponse(f"{author.name}: {secret_of(request)}")


def templated(request):
    template = engines["django"].from_string(TEMPLATE)
    return HttpResponse(template.render({"author": Author.objects.get(pk=1)}, request))


def opened(request):
    """A page whose record is the same for everybody, though its events are not."""
    return HttpResponse("<!doctype html><title>open</title><body>open</body>")


def opened_update(request):
    return [
        about("user", serializer=by_user),
        about("session", serializer=by_session),
        about("template", serializer="templated"),
        about("public", data=["name"]),
    ]


urlpatterns = [
    path("log-in/<str:name>/", log_in),
    path("secrets/", secrets),
    path("shown/", shown),
    path("templated/", templated),
    path("open/", opened),
    path("author/<int:pk>/save/", save_author),
]
