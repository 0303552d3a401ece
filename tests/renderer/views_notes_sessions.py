"""A session engine that looks at the request when a session is made."""

from django.contrib.sessions.backends.db import SessionStore as Stock

from tests.renderer.views_notes import LOCAL


class SessionStore(Stock):
    def __init__(self, session_key=None):
        super().__init__(session_key)
        self.theme = LOCAL.request.COOKIES.get("theme")
