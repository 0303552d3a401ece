"""A path for each view of ``views``."""

import functools

from django.contrib.auth.decorators import login_required
from django.urls import path, re_path

from tests.renderer import views, views_notes

urlpatterns = [
    path("notes/page/", views_notes.page),
    path("notes/asks/", views_notes.page_that_asks),
    path("notes/members/", views_notes.members),
    path("", views.hello),
    path("hello/", views.hello),
    path("shelf/", views.shelf),
    path("private/", views.private),
    path("guarded/", login_required(views.ask_members)),
    path("missing/", views.missing),
    path("forbidden/", views.forbidden),
    path("moved/", views.moved),
    path("broken/", views.broken),
    path("raising/", views.raising),
    path("cached/", views.cached),
    path("json/", views.as_json),
    path("not-json/", views.not_json),
    path("image/", views.image),
    path("latin/", views.latin),
    path("streamed/", views.streamed),
    path("asynchronous/", views.asynchronous),
    path("streamed-asynchronously/", views.streamed_asynchronously),
    path("templated/", views.templated),
    path("counting/", views.counting),
    path("loose/", views.loose),
    path("durable/", views.durable),
    path("café/<int:number>/", views.numbered),
    path("named/<str:user>/", views.positional),
    re_path(r"^placed/(\w+)/$", views.positional),
    path("bound/", functools.partial(views.positional, user="bound")),
    path("ask/", views.ask),
    path("session/", views.session_asynchronously),
    path("with-user/", views.with_user),
    path("language/", views.language),
    path("with-session/", views.with_session),
    path("board/", views.Board.as_view(title="tasks")),
]
