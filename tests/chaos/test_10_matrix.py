"""Origin, token and session, each wrong in each way, by page and by URL: all refused."""

from __future__ import annotations

import json
import time
from itertools import product
from unittest import mock

import pytest
import requests
import websocket
from django.test import override_settings

from serverpush import tokens
from serverpush.conf import config
from tests.live.browsers import Browser, start_access_site

TRANSPORTS = ("websocket", "polling")
WAIT = 20
"""Seconds for an answer."""

FOREIGN = [
    "http://evil.example",
    "https://evil.example:8013",
    "http://127.0.0.1.evil.example",
    "http://evil.example/127.0.0.1",
    "http://127.0.0.1@evil.example",
    "http://evil.example#127.0.0.1",
    "http://localhost.evil.example",
    "127.0.0.1",
    "file://",
    "null",
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    live = start_access_site(tmp_path_factory.mktemp("matrix"), LIVE_SWEEP="1")
    yield live
    live.stop()


class Known:
    """A browser of a user, with a page that it has loaded."""

    def __init__(self, live, path="/me/"):
        self.browser = Browser(live)
        self.page = self.browser.load(path)
        self.cookie = self.browser.headers["Cookie"]

    def happens(self, what):
        self.browser.happens(what)
        return self

    def logs_out(self):
        url = f"{self.browser.live.url}/log-out/"
        self.browser.session.get(url, allow_redirects=False, timeout=WAIT)
        return self


@pytest.fixture(scope="module")
def known(live):
    made = []

    def known(path="/me/"):
        made.append(Known(live, path))
        return made[-1]

    yield known
    for each in made:
        each.browser.close()


def asked(live, transport, auth, cookie="", origin=None):
    """The code that a connection is refused with; ``accepted`` where it is not."""
    headers = {"Cookie": cookie} if cookie else {}
    ask = _by_websocket if transport == "websocket" else _by_polling
    packet = ask(live, f"40{json.dumps(auth)}", headers, live.url if origin is None else origin)
    if packet == "403":
        return "origin_refused"
    assert packet[:2] in ("40", "44"), packet
    return "accepted" if packet.startswith("40") else json.loads(packet[2:])["data"]["code"]


def _by_websocket(live, packet, headers, origin):
    url = live.push_url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    try:
        connection = websocket.create_connection(
            url, timeout=WAIT, header=headers, origin=origin or None, suppress_origin=not origin
        )
    except websocket.WebSocketBadStatusException as error:
        return str(error.status_code)
    try:
        connection.recv()
        connection.send(packet)
        return connection.recv()
    finally:
        connection.close()


def _by_polling(live, packet, headers, origin):
    url = f"{live.push_url}/socket.io/?EIO=4&transport=polling"
    with requests.Session() as session:
        session.headers.update(headers | ({"Origin": origin} if origin else {}))
        opened = session.get(url, timeout=WAIT)
        if opened.status_code != 200:
            return str(opened.status_code)
        url += "&sid=" + json.loads(opened.text[1:])["sid"]
        assert session.post(url, packet, timeout=WAIT).status_code == 200
        return session.get(url, timeout=WAIT).text


def changed(token, place):
    """The token with another character at a place."""
    other = "A" if token[place] != "A" else "B"
    return token[:place] + other + token[place:][1:]


def signed(token, **settings):
    """The page of a token, signed anew under other settings."""
    page = tokens.verify_page(token)
    with override_settings(**settings):
        return tokens.sign_page(page)


def signed_ago(token, seconds):
    page = tokens.verify_page(token)
    with mock.patch("django.core.signing.time.time", return_value=time.time() - seconds):
        return tokens.sign_page(page)


def token_rows(known):
    """What is asked, the cookie that comes with it, and the code of the answer."""
    ann = known()
    token, cookie = ann.page, ann.cookie
    data, at, signature = token.rsplit(":", 2)
    for place in (0, len(data) // 2, len(data) - 1, len(data) + 2, len(token) - 1):
        yield {"page": changed(token, place)}, cookie, "bad_token"
    for wrong in ("", "nonsense", 5, None, [token], {"page": token}, token[:-1], token + "A"):
        yield {"page": wrong}, cookie, "bad_token"
    other = known().page.rsplit(":", 2)
    yield {"page": ":".join((data, other[1], other[2]))}, cookie, "bad_token"
    yield {"page": ":".join((other[0], at, signature))}, cookie, "bad_token"
    yield {"page": signed(token, SERVERPUSH_SALT="another")}, cookie, "bad_token"
    yield {"page": signed(token, SECRET_KEY="another")}, cookie, "bad_token"
    for use in ("user", "channel", ""):
        yield {"page": tokens._sign(use, tokens.verify_page(token).to_json())}, cookie, "bad_token"
    for wrong in ("", "nonsense", 5, None, token, signed(token, SERVERPUSH_SALT="another")):
        yield {"user": wrong}, cookie, "bad_token"
    oldest = config().token_max_age
    yield {"page": signed_ago(token, oldest + 60)}, cookie, "token_expired"
    yield {"page": signed_ago(token, 10 * oldest)}, cookie, "token_expired"


def session_rows(known):
    ann, bob = known(), known()
    yield {"page": ann.page}, bob.cookie, "session_mismatch"
    yield {"page": ann.page}, "", "session_mismatch"
    yield {"page": ann.page}, "sessionid=" + "g" * 32, "session_mismatch"
    yield {"page": ann.page}, f"{ann.cookie}x", "session_mismatch"
    yield {"url": "/vault/"}, "", "page_not_found"
    yield {"url": "/vault/"}, "sessionid=" + "g" * 32, "page_not_found"
    yield {"url": "/me/", "page": ann.page}, bob.cookie, "session_mismatch"


def ended_rows(known):
    """Sessions that were good until something happened, which the push server has heard of."""
    for what in ("another-password", "not-active", "deleted", "log-out"):
        away = known("/vault/")
        if what == "log-out":
            away.logs_out()
        else:
            away.happens(what)
        yield {"page": away.page}, away.cookie, "session_mismatch"
        yield {"url": "/vault/"}, away.cookie, "page_not_found"
        ann = known("/vault/")
        page = ann.browser.connect(ann.page)
        since = time.time()
        if what == "log-out":
            ann.logs_out()
        else:
            ann.happens(what)
        page.told("serverpush:logout")
        page.is_closed(since, WAIT)
        yield {"page": ann.page}, ann.cookie, "session_mismatch"
        yield {"url": "/vault/"}, ann.cookie, "page_not_found"


def origin_rows(known):
    ann = known("/vault/")
    for origin in ["", *FOREIGN]:
        for auth in ({"page": ann.page}, {"url": "/vault/"}):
            yield auth, ann.cookie, origin
    # The page of everybody needs no cookie, but a browser's origin counts for it, too.
    for origin in FOREIGN:
        yield {"url": "/author/1/"}, "", origin


def test_the_matrix(live, known, figures):
    good = known("/vault/")
    for transport, auth in product(TRANSPORTS, ({"page": good.page}, {"url": "/vault/"})):
        assert asked(live, transport, auth, good.cookie) == "accepted"
    rows = [
        (auth, cookie, None, code)
        for group in (token_rows, session_rows, ended_rows)
        for auth, cookie, code in group(known)
    ]
    rows += [
        (auth, cookie, origin, "origin_refused") for auth, cookie, origin in origin_rows(known)
    ]
    wrong = []
    for transport, (auth, cookie, origin, code) in product(TRANSPORTS, rows):
        answer = asked(live, transport, auth, cookie, origin)
        if answer != code:
            wrong.append((transport, auth, cookie, origin, code, answer))
    combinations = len(rows) * len(TRANSPORTS)
    refused = combinations - sum(answer == "accepted" for *_, answer in wrong)
    figures.say(
        10,
        "wrong origins, tokens and sessions",
        combinations=f"{combinations}",
        refused=f"{refused}",
    )
    assert wrong == []
    for transport, auth in product(TRANSPORTS, ({"page": good.page}, {"url": "/vault/"})):
        assert asked(live, transport, auth, good.cookie) == "accepted"
