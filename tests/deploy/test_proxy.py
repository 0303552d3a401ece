"""Behind nginx and Caddy, as docs/deploy configures them: HTTPS, one origin."""

from __future__ import annotations

import ssl
import subprocess
import threading
from contextlib import ExitStack

import pytest
import requests
import websocket

import serverpush
from tests.live.clients import Client, browse, refusal
from tests.live.processes import wait_until

from .proxies import Nginx

POLL = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture
def connect(proxy):
    clients = []

    def connect(auth, *, session=None, **options):
        # websocket-client sends an origin by itself: the address that it connects to.
        client = Client(proxy.url, auth, headers=cookies(session), **options)
        clients.append(client)
        client.event("serverpush:ready")
        return client

    yield connect
    for client in clients:
        client.close()


def cookies(session):
    if session is None:
        return {}
    return {"Cookie": "; ".join(f"{each.name}={each.value}" for each in session.cookies)}


def logged_in(proxy, name):
    session = requests.Session()
    session.get(f"{proxy.url}/log-in/{name}/?next=/by-map/", timeout=20)
    assert session.cookies
    return session


def save(proxy, name):
    response = requests.get(f"{proxy.url}/author/1/save/?name={name}", timeout=20)
    assert response.text == "saved"


def test_the_configuration_is_valid(proxy):
    done = subprocess.run(proxy.check(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


def test_the_page_connects_to_its_own_origin(proxy):
    _, record = browse(f"{proxy.url}/author/1/")
    assert record["server"] == ""


def test_the_proxy_serves_the_script(proxy):
    response = requests.get(f"{proxy.url}/static/serverpush/serverpush.js", timeout=20)
    assert response.ok
    assert "javascript" in response.headers["Content-Type"]
    # Not the site, which serves it in these tests too, without a date.
    assert response.headers["Last-Modified"]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_both_transports_carry_events(proxy, connect, transport):
    _, record = browse(f"{proxy.url}/author/1/")
    client = connect({"page": record["page"]}, transports=[transport])
    save(proxy, transport)
    assert client.event("author")[0]["name"] == transport


def test_a_client_that_is_no_browser_follows_a_page(proxy):
    _, record = browse(f"{proxy.url}/author/1/")
    with serverpush.Client(proxy.url, page=record["page"], since=record["since"]) as client:
        save(proxy, "device")
        assert next(event for event in client if event.data["name"] == "device").name == "author"


def test_a_certificate_that_does_not_verify_is_told(proxy, monkeypatch, caplog):
    monkeypatch.delenv("WEBSOCKET_CLIENT_CA_BUNDLE")
    with serverpush.Client(proxy.url) as client:
        following = threading.Thread(target=list, args=(client,))
        following.start()
        wait_until(lambda: caplog.records, "a line in the log")
    following.join(20)
    told = caplog.records[0].getMessage()
    assert told.startswith(f"can't connect to {proxy.url}, trying again: ")
    assert "certificate verify failed" in told


def test_polling_is_upgraded_to_websocket(proxy, connect):
    _, record = browse(f"{proxy.url}/author/1/")
    client = connect({"page": record["page"]}, transports=["polling", "websocket"])
    assert client._socketio.transport() == "websocket"
    save(proxy, "upgraded")
    assert client.event("author")[0]["name"] == "upgraded"


def test_cookies_pass(proxy, connect):
    ada, grace = logged_in(proxy, "ada"), logged_in(proxy, "grace")
    assert all(cookie.secure for cookie in ada.cookies)
    _, record = browse(f"{proxy.url}/hello/", ada)
    client = connect({"page": record["page"]}, session=ada)
    proxy.live.shell(
        "from django.contrib.auth.models import User; User.objects.get(username='ada').save()"
    )
    assert client.event("reload")[0] == "Hey, ada!"
    refused = refusal(proxy.url, {"page": record["page"]}, headers=cookies(grace))
    assert refused["code"] == "session_mismatch"


def test_a_foreign_origin_is_refused(proxy):
    headers = {"Origin": "https://evil.example"}
    assert requests.get(proxy.url + POLL, headers=headers, timeout=20).status_code == 403
    assert upgrade(proxy, "https://evil.example") == 403
    assert upgrade(proxy, proxy.url) == 101


def upgrade(proxy, origin):
    """The status with which a WebSocket of this origin's page is answered."""
    lines = [
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        f"Host: localhost:{proxy.tls_port}",
        f"Origin: {origin}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    with proxy.handshake("localhost") as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(sock.recv(4096).split()[1])


def test_a_rendering_knows_the_address_that_the_browser_uses(proxy, connect):
    _, record = browse(f"{proxy.url}/where/")
    clients = [connect({"page": record["page"]}), connect({"url": "/where/"})]
    save(proxy, "where")
    for client in clients:
        seen, _ = client.event("where")
        assert (seen["url"], seen["secure"]) == (f"{proxy.url}/next/", True)


def test_a_rendering_for_a_client_without_an_origin_knows_the_address(proxy, connect):
    client = connect({"url": "/where/"}, transports=["polling"])
    save(proxy, "no origin")
    seen, _ = client.event("where")
    assert (seen["url"], seen["secure"]) == (f"{proxy.url}/next/", True)


def test_what_a_client_says_of_itself_is_not_believed(proxy):
    headers = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }
    seen = requests.get(f"{proxy.url}/show/", headers=headers, timeout=20).json()
    assert (seen["url"], seen["secure"]) == (f"{proxy.url}/next/", True)
    assert seen["for"] == "127.0.0.1"
    assert "evil" not in seen["host"]


def test_the_push_server_knows_whom_the_proxy_asks_for(proxy):
    url = proxy.url.replace("https:", "wss:") + POLL.replace("polling", "websocket")
    with proxy.handshake("localhost", source="127.0.0.2") as sock:
        socket = websocket.create_connection(
            url, socket=sock, header=["X-Forwarded-For: 192.0.2.1"]
        )
        socket.send('40{"page": "no token"}')
        proxy.live.push.wait_for(r"^refuse code=bad_token address=127\.0\.0\.2$")


def test_forms_pass_djangos_check_of_the_origin(proxy):
    session = requests.Session()
    token = session.get(f"{proxy.url}/form/", timeout=20).text
    headers = {"Origin": proxy.url, "X-CSRFToken": token}
    assert session.post(f"{proxy.url}/form/", headers=headers, timeout=20).text == "POST"
    headers["Origin"] = "https://evil.example"
    assert session.post(f"{proxy.url}/form/", headers=headers, timeout=20).status_code == 403


def test_too_large_a_body_is_refused(proxy):
    response = requests.post(proxy.url + POLL, data=b"4" * 20_000, timeout=20)
    assert response.status_code == proxy.too_large


def test_a_body_as_large_as_the_push_server_takes_passes(proxy):
    response = requests.post(proxy.url + POLL, data=b"4" * 16 * 1024, timeout=20)
    # The push server's own answer: the connection is not named.
    assert response.status_code == 400


def test_plain_http_leads_to_https(proxy):
    response = requests.get(f"{proxy.plain_url}/author/1/?a=b", allow_redirects=False, timeout=20)
    assert response.status_code in (301, 308)
    assert response.headers["Location"].startswith("https://localhost")
    assert response.headers["Location"].endswith("/author/1/?a=b")


def test_another_host_is_not_served(proxy):
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name|alert"):
        proxy.handshake("evil.example")


@pytest.mark.parametrize("path", ["health", "metrics", "notify"])
def test_the_notifier_is_not_reached(proxy, path):
    key = proxy.live.manage("serverpush_key").stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    assert requests.get(f"{proxy.url}/{path}", headers=headers, timeout=20).status_code == 404


def test_the_log_names_no_connection(proxy, connect):
    _, record = browse(f"{proxy.url}/author/1/")
    connect({"page": record["page"]}, transports=["polling"])
    log = proxy.folder / "access.log"
    # nginx names the request in whose connection something failed: that one has ended.
    lines = [line for line in proxy.process.lines if "[error]" not in line]
    told = "".join(lines) + (log.read_text() if log.exists() else "")
    assert "sid=" not in told


def test_nginx_limits_the_connections_of_an_address(live, certificate, tmp_path):
    nginx = Nginx(live, certificate, tmp_path, connections=3)
    try:
        nginx.start()
        _, record = browse(f"{nginx.url}/author/1/")
        with ExitStack() as stack:
            for _ in range(3):
                client = Client(nginx.url, {"page": record["page"]})
                stack.callback(client.close)
                client.event("serverpush:ready")
            assert requests.get(nginx.url + POLL, timeout=20).status_code == 429
        assert requests.get(f"{nginx.url}/show/", timeout=20).ok
    finally:
        nginx.stop()
