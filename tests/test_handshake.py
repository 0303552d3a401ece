"""With what a client that is no browser asks for a connection."""

from __future__ import annotations

import pytest

from serverpush.handshake import Handshake

ADDRESS = "http://127.0.0.1:8013"


@pytest.mark.parametrize("name", ["Origin", "origin", "ORIGIN"])
def test_an_origin_is_sent_once(name):
    handshake = Handshake(ADDRESS, {"Cookie": "a=b", name: "https://www.example.org"})
    assert handshake.headers == {"Cookie": "a=b"}
    assert handshake.options["origin"] == "https://www.example.org"


def test_a_cookie_comes_with_the_address_as_its_origin():
    options = Handshake(ADDRESS, {"cookie": "a=b"}).options
    assert "origin" not in options
    assert "suppress_origin" not in options


def test_without_a_cookie_there_is_no_origin():
    assert Handshake(ADDRESS, {"Accept-Language": "pl"}).options["suppress_origin"] is True
