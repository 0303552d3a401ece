"""Pages for the middleware's tests: each with what makes it special."""

from django.http import FileResponse, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.views.decorators.cache import cache_page

from tests.project.models import Author, Book

CALLS = []
BODY = "<!doctype html><html><body><p>Hello</p></body></html>"


def books(request=None, *args, **kwargs):
    CALLS.append((request, args, kwargs))
    return [{"name": "book", "model": Book, "data": ["title"]}]


def page(request, **kwargs):
    return HttpResponse(BODY)


page_update = books


def plain(request):
    return HttpResponse(BODY)


def quiet(request):
    return HttpResponse(BODY)


def quiet_update(request):
    return None


def answered(request):
    """Whatever the test puts here."""
    return answered.response(request)


answered_update = books


def with_user(request):
    return HttpResponse(f"<body>{request.user.username}</body>")


with_user_update = books


def with_session(request):
    request.session["seen"] = True
    return HttpResponse(BODY)


with_session_update = books


def update_reads(request):
    return HttpResponse(BODY)


def update_reads_update(request):
    return [{"name": "me", "model": "auth.user", "params": {"pk": request.user.pk or 0}}]


def failing(request):
    return HttpResponse(BODY)


def failing_update(request):
    raise LookupError("there is nothing here")


def wrong(request):
    return HttpResponse(BODY)


def wrong_update(request):
    return [{"name": "fine", "model": Book}, {"name": "not fine", "model": Book}]


def generating(request):
    return HttpResponse(BODY)


def generating_update(request):
    yield {"name": "one", "model": Book}
    yield {"name": "two", "model": Author}


def generating_badly(request):
    return HttpResponse(BODY)


def generating_badly_update(request):
    yield {"name": "one", "model": Book}
    raise LookupError("halfway")


async def on_loop(request):
    return HttpResponse(BODY)


async def on_loop_update(request):
    count = await Book.objects.acount()
    return [{"name": f"books{count}", "model": Book}]


def on_loop_generating(request):
    return HttpResponse(BODY)


async def on_loop_generating_update(request):
    yield {"name": "one", "model": Book}
    yield {"name": "two", "model": Author}


def templated(request):
    source = request.GET.get("source", "<body>{{ generated_timestamp }}</body>")
    return TemplateResponse(request, engines["django"].from_string(source))


templated_update = books


def tagged(request):
    """Without an update function."""
    source = request.GET.get("source", "{% load serverpush %}<p>{% serverpush_scripts %}</p>")
    return TemplateResponse(request, engines["django"].from_string(source))


@cache_page(60)
def cached(request):
    CALLS.append("view")
    return HttpResponse(BODY)


cached_update = books


def redirect(request):
    return HttpResponseRedirect("/page/")


redirect_update = books


def streaming(request):
    return StreamingHttpResponse(iter([BODY.encode()]))


streaming_update = books


def file(request):
    return FileResponse(iter([BODY.encode()]), content_type="text/html")


file_update = books


def sitewide(request):
    CALLS.append((request, "sitewide"))
    return [{"name": "author", "model": Author}]


def sitewide_with_arguments(request, *args, **kwargs):
    CALLS.append((request, args, kwargs))
    return [{"name": "author", "model": Author}]


async def sitewide_on_loop(request):
    return [{"name": "author", "model": Author}]
