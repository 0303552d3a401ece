"""The URLs of the fault tests' site; tests/chaos/kinds.py knows them, too."""

from django.urls import path

from tests.chaos.site import views

urlpatterns = [
    path("item/<int:pk>/", views.item),
    path("group/<str:group>/", views.group),
    path("high/<int:level>/", views.high),
    path("everything/", views.everything),
    path("listed/<str:group>/", views.listed),
    path("pair/<int:pk>/<str:group>/", views.pair),
    path("own/<int:pk>/", views.own),
    path("slow/<int:pk>/", views.slow),
    path("save/<int:pk>/<int:version>/", views.save),
]
