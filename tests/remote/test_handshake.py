"""With what a client that is no browser asks for a connection."""

from __future__ import annotations

import pytest

from serverpush.remote.handshake import Handshake

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


@pytest.mark.parametrize(
    "address", [ADDRESS, f"{ADDRESS}/", "https://www.example.org", "wss://[::1]:8013", "HTTPS://a"]
)
def test_addresses(address):
    assert Handshake(address, {}).address == address


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8013",
        "127.0.0.1:8013",
        "//localhost",
        "",
        "http://",
        "http://:8013",
        "http://localhost:port",
        "http://localhost:80130",
        "http://[::1",
        "ftp://localhost",
        "http://localhost/news/",
        "http://localhost?a=b",
        "http://ada:secret@localhost",
    ],
)
def test_what_is_no_address_is_named(address):
    with pytest.raises(ValueError, match=r"such as 'http://127\.0\.0\.1:8013'") as raised:
        Handshake(address, {})
    assert repr(address) in str(raised.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_cannot_be_read_is_named(tmp_path, monkeypatch, content):
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(path))
    with pytest.raises(ValueError, match=r"WEBSOCKET_CLIENT_CA_BUNDLE is '.*authorities\.pem'"):
        Handshake("https://localhost", {})
    # Nobody is verified without TLS.
    Handshake(ADDRESS, {})
