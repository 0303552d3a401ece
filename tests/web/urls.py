from django.urls import path

from tests.web import views

urlpatterns = [
    path(f"{name}/", getattr(views, name))
    for name in [
        "page",
        "plain",
        "quiet",
        "answered",
        "with_user",
        "with_session",
        "update_reads",
        "failing",
        "wrong",
        "generating",
        "generating_badly",
        "on_loop",
        "on_loop_generating",
        "templated",
        "tagged",
        "cached",
        "redirect",
        "streaming",
        "file",
    ]
]
urlpatterns += [path("page/<int:number>/<slug:word>/", views.page)]
