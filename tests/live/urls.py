"""The URLs of the live test site."""

from django.urls import path

from tests.live import views

urlpatterns = [
    path("by-map/", views.by_map),
    path("by-function/", views.by_function),
    path("hello/", views.hello),
    path("mark/<int:pk>/", views.mark),
    path("deferred/<int:pk>/", views.deferred),
    path("authors/", views.authors),
    path("bench/<int:pk>/", views.bench),
    path("author/<int:pk>/", views.author),
    path("author/<int:pk>/save/", views.save_author),
    path("author/<int:pk>/roll-back/", views.roll_back),
    path("books/", views.books),
    path("mixed/", views.mixed),
    path("log-in/<str:name>/", views.log_in),
    path("log-out/", views.log_out),
]
