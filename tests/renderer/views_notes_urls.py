"""URLs that a project's own converter decides, and others that have a language in them."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import path, register_converter

from tests.renderer import views, views_notes


class OwnTeam:
    """Is found by those who are in it."""

    regex = "[0-9]+"

    def to_python(self, value):
        if views_notes.LOCAL.request.COOKIES.get("team") != value:
            raise ValueError(value)
        return value

    def to_url(self, value):
        return value


register_converter(OwnTeam, "own_team")

urlpatterns = [
    path("team/<own_team:team>/", views.hello),
    *i18n_patterns(path("hello/", views.hello)),
]
