"""The URLs of the live test site, and those by which users come, change and go."""

from django.contrib.auth.views import PasswordChangeView
from django.urls import path

from tests.live import access_views as views
from tests.live.urls import urlpatterns as _urlpatterns

urlpatterns = [
    *_urlpatterns,
    path("me/", views.me),
    path("vault/", views.vault),
    path("join/<str:name>/", views.join),
    path("change/<str:name>/<str:what>/", views.change),
    path("my-password/", PasswordChangeView.as_view(success_url="/me/")),
]
