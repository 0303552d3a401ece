"""Pages with updates, and messages beside them."""

from tests.live import urls, views_messages

urlpatterns = [*urls.urlpatterns, *views_messages.urlpatterns]
