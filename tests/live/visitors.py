"""Visitors: a session, and what the pages say that it loads."""

from __future__ import annotations

import json
import re

import requests

from .clients import page_record


class Visitor:
    """A browser of the message pages; logged in, if it has a name."""

    def __init__(self, live, name=""):
        self.live = live
        self.session = requests.Session()
        self.pk = self.get(f"/log-in/{name}/").json()["pk"] if name else None

    def get(self, path, **params):
        response = self.session.get(self.live.url + path, params=params, timeout=20)
        response.raise_for_status()
        return response

    @property
    def headers(self):
        cookie = "; ".join(f"{each.name}={each.value}" for each in self.session.cookies)
        return {"Cookie": cookie} if cookie else {}

    def load(self, path):
        """A page's record, and the tokens in it."""
        html = self.get(path).text
        found = re.search(r'<script id="tokens".*?>(.*?)</script>', html)
        return page_record(html), json.loads(found[1]) if found else {}
