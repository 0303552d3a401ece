"""Who may connect, by origin; and CORS."""

import pytest
import requests
import websocket

from tests.server.transport import conftest

GOOD, BAD = "https://good.example", "https://bad.example"


@pytest.fixture
def picky(server):
    server.handlers.origin = lambda environ: environ.get("HTTP_ORIGIN") == GOOD
    return server


@pytest.mark.parametrize("headers", [{}, {"Origin": BAD}, {"Origin": GOOD + ", " + BAD}])
def test_polling_from_elsewhere(picky, headers):
    answer = requests.get(
        picky.url, params={"EIO": "4", "transport": "polling"}, headers=headers, timeout=10
    )
    assert answer.status_code == 403
    assert answer.text == "This origin may not connect."
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert picky.transport._engine.sockets == {}


@pytest.mark.parametrize("options", [{"suppress_origin": True}, {"origin": BAD}])
def test_a_websocket_from_elsewhere(picky, options):
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        picky.websocket(**options)
    assert caught.value.status_code == 403
    assert picky.transport._engine.sockets == {}


def test_a_good_origin(picky):
    ws = picky.websocket(origin=GOOD)
    poller = picky.polling(headers={"Origin": GOOD})
    picky.handlers.wait("joined", 2)
    picky.send("1")
    assert ws.packet() == '42["news",1]'
    assert poller.poll() == ['42["news",1]']


def test_forwarded_headers_are_not_believed(picky):
    """The environ that is asked about is the request's own."""
    seen = []
    picky.handlers.origin = lambda environ: seen.append(environ["HTTP_HOST"]) or False
    for name in ("X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"):
        assert (
            requests.get(
                picky.url,
                params={"EIO": "4", "transport": "polling"},
                headers={name: "bad.example", "Origin": "http://bad.example"},
                timeout=10,
            ).status_code
            == 403
        )
    assert set(seen) == {f"127.0.0.1:{picky.port}"}


def test_the_address_is_the_peers(server):
    server.websocket(header=["X-Forwarded-For: 10.9.8.7", "Cookie: a=b", "User-Agent: test"])
    handshake = server.client().handshake
    assert handshake.address == "127.0.0.1"
    assert handshake.cookie == "a=b"
    assert handshake.headers["x-forwarded-for"] == "10.9.8.7"
    assert handshake.headers["user-agent"] == "test"


def test_later_requests_are_checked_too(picky):
    poller = picky.polling(headers={"Origin": GOOD})
    client = picky.client()
    for method in ("GET", "POST"):
        answer = requests.request(
            method,
            picky.url,
            params=poller.params,
            headers={"Origin": BAD},
            data="1",
            timeout=conftest.WAIT,
        )
        assert answer.status_code == 403
    with pytest.raises(websocket.WebSocketBadStatusException):
        picky.websocket(query="&sid=" + poller.params["sid"], origin=BAD)
    assert not client.closed


def test_cors_headers_of_a_good_origin(picky):
    answer = requests.get(
        picky.url,
        params={"EIO": "4", "transport": "polling"},
        headers={"Origin": GOOD},
        timeout=10,
    )
    assert answer.headers["Access-Control-Allow-Origin"] == GOOD
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


def test_preflight(picky):
    for origin, status in ((GOOD, 204), (BAD, 403)):
        answer = requests.options(
            picky.url,
            params={"EIO": "4", "transport": "polling"},
            headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
            timeout=10,
        )
        assert answer.status_code == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (
            GOOD if status == 204 else None
        )


def test_a_check_that_fails_is_a_no(server):
    server.handlers.origin = lambda environ: environ["absent"]
    answer = requests.get(server.url, params={"EIO": "4", "transport": "polling"}, timeout=10)
    assert answer.status_code == 403
    assert server.log.text == "ERROR origin_allowed failed"
