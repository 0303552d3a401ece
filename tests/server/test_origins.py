"""Which pages' scripts may connect."""

from __future__ import annotations

import pytest
from django.test import override_settings

from serverpush.server.origins import is_allowed

COOKIE = {"HTTP_COOKIE": "a=b; sessionid=x"}


def environ(origin=None, **more):
    found = {"HTTP_HOST": "push.site.org:8013", **more}
    if origin is not None:
        found["HTTP_ORIGIN"] = origin
    return found


@override_settings(
    ALLOWED_HOSTS=["site.org", ".shop.org"],
    CSRF_TRUSTED_ORIGINS=["https://trusted.org", "https://*.partner.org"],
    SERVERPUSH_ALLOWED_ORIGINS=["https://more.org"],
)
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://site.org", True),
        ("https://site.org:8443", True),
        ("http://www.shop.org", True),
        ("http://shop.org:8000", True),
        ("https://trusted.org", True),
        ("http://trusted.org", False),
        ("https://a.partner.org", True),
        ("https://partner.org.evil.org", False),
        ("https://more.org", True),
        ("http://evil.org", False),
        ("http://site.org.evil.org", False),
        ("http://evil-site.org", False),
        ("null", False),
        ("", False),
        ("file://site.org", False),
        ("http://push.site.org", False),
        ("http://site.org,http://evil.org", False),
        ("http://[::1", False),
    ],
)
def test_the_origin_must_be_one_of_the_sites(origin, allowed):
    assert is_allowed(environ(origin)) is allowed


def test_forwarded_hosts_are_not_believed():
    assert not is_allowed(environ("http://evil.org", HTTP_X_FORWARDED_HOST="evil.org"))


def test_without_an_origin_the_session_cookie_looks_like_an_attack():
    assert is_allowed(environ())
    assert not is_allowed(environ(**COOKIE))


def test_a_browser_that_says_same_origin_is_believed():
    assert is_allowed(environ(**COOKIE, HTTP_SEC_FETCH_SITE="same-origin"))
    assert not is_allowed(environ(**COOKIE, HTTP_SEC_FETCH_SITE="cross-site"))


@override_settings(ALLOWED_HOSTS=[], DEBUG=True)
def test_while_developing_local_pages_may_connect():
    assert is_allowed(environ("http://localhost:8000"))
    assert is_allowed(environ("http://127.0.0.1:8000"))
    assert not is_allowed(environ("http://evil.org"))


@override_settings(ALLOWED_HOSTS=["*"])
def test_a_wildcard_allows_only_the_very_host_that_was_asked():
    assert is_allowed(environ("http://push.site.org:8000"))
    assert not is_allowed(environ("http://evil.org"))
