"""Serves static files beside gunicorn, for tests only."""

import mimetypes
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpResponse

NODE_MODULES = Path(__file__).parents[2] / "js" / "node_modules"


class StaticMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not request.path.startswith("/static/"):
            return self.get_response(request)
        name = request.path.removeprefix("/static/")
        found = NODE_MODULES / name.removeprefix("npm/")
        if not name.startswith("npm/"):
            found = Path(finders.find(name))
        kind = mimetypes.guess_type(found)[0] or "application/octet-stream"
        return HttpResponse(found.read_bytes(), content_type=kind)
