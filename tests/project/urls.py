"""The test project's URLs: each test module sets its own with ``override_settings``."""

urlpatterns = []
