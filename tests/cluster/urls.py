"""The pages of the live site, and its rooms."""

from tests.live import urls, views_rooms

# Both have a log-in; the rooms' tells whom.
urlpatterns = [*views_rooms.urlpatterns, *urls.urlpatterns]
