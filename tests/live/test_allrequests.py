"""``runserverpush --allrequests``: one command, one port, and a site that is as it always is."""

from __future__ import annotations

import hashlib
import os
import re
import socket

import pytest
import requests

from .clients import Client, browse
from .processes import Live, wait_until
from .test_starting import children_of, fails

ENVIRON = {"LIVE_URLS": "tests.live.views_allrequests", "LIVE_DEBUG": "1"}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with Live(tmp_path_factory.mktemp("live"), ENVIRON) as live:
        live.migrate()
        live.shell("from tests.project.models import Author; Author.objects.create(pk=1)")
        live.start_push("--allrequests")
        yield live


def get(live, path, **options):
    return requests.get(live.push_url + path, timeout=20, **options)


def test_a_page_is_live_on_the_one_port(live):
    _, record = browse(f"{live.push_url}/author/1/")
    assert record["server"] == "", "it connects to where it came from"
    client = Client(live.push_url, {"page": record["page"], "since": record["since"]})
    client.event("serverpush:ready")
    get(live, "/author/1/save/?name=Selma").raise_for_status()
    name, arguments = client.next()
    assert (name, arguments[-1]["pk"]) == ("author", 1)
    client.close()


def test_static_files(live):
    response = get(live, "/static/serverpush/serverpush.js")
    assert response.headers["Content-Type"].startswith("text/javascript")
    assert "serverpush" in response.text


@pytest.mark.parametrize("size", [0, 1, 200_000, 3_000_000])
def test_what_is_sent_arrives(live, size):
    body = os.urandom(size)
    url = f"{live.push_url}/%C3%A9ch%C3%B8/?q=%C3%B8&a=b%20c"
    answer = requests.post(url, body, headers={"X-Two": "a, b", "Te": "trailers"}, timeout=20)
    found = answer.json()
    assert (found["method"], found["path"]) == ("POST", "/%C3%A9ch%C3%B8/?q=%C3%B8&a=b%20c")
    assert (found["size"], found["digest"]) == (size, hashlib.sha256(body).hexdigest())
    assert found["headers"] == {"X-Two": "a, b"}
    assert (found["host"], found["port"]) == (f"127.0.0.1:{live.port}", str(live.port))


def test_it_knows_who_asks_and_believes_nobody_else(live):
    found = get(live, "/échø/", headers={"X-Serverpush-Peer": "8.8.8.8"}).json()
    assert (found["peer"], found["headers"]) == ("127.0.0.1", {})
    ports = listening_on(live)
    assert len(ports) == 1, "the site's own"
    response = requests.get(
        f"http://127.0.0.1:{ports.pop()}/échø/",
        headers={"X-Serverpush-Peer": "8.8.8.8", "X-Serverpush-Key": "guessed"},
        timeout=20,
    )
    assert response.status_code == 403


def test_a_site_that_answers_before_the_end_of_a_body(live):
    response = requests.post(f"{live.push_url}/refuse/", bytes(20_000_000), timeout=20)
    assert (response.status_code, response.text) == (413, "too much")


def raw(live, *parts):
    """Send bytes; all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", live.port), 20) as sock:
        for part in parts:
            sock.sendall(part)
        answer = b""
        while data := sock.recv(65536):
            answer += data
        return answer


def test_an_upload_that_is_broken_off_leaves_nothing_behind(live):
    before = int(get(live, "/threads/").text)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", live.port), 20) as sock:
            sock.sendall(b"POST /%C3%A9ch%C3%B8/ HTTP/1.1\r\nHost: localhost\r\n")
            sock.sendall(b"Content-Length: 100000\r\n\r\nabc")
    wait_until(lambda: int(get(live, "/threads/").text) <= before, "the site's threads end")


def test_an_answer_that_is_cut_short_ends_its_connection(live):
    request = b"GET /cut/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = raw(live, request, request)
    assert answer.count(b"HTTP/1.1 200") == 1, "what comes next would be taken for the rest"
    assert answer.endswith(b"x" * 1000)


def test_an_answer_that_can_not_be_read_is_told(live):
    response = get(live, "/headers/")
    assert (response.status_code, "runserverpush" in response.text) == (502, True)


def test_a_path_that_should_have_been_quoted(live):
    path = "/échø/".encode()
    answer = raw(
        live, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"path": "/%C3%A9ch%C3%B8/"' in answer


def test_headers_of_the_connection_end_there(live):
    found = get(live, "/échø/", headers={"Connection": "X-Mine, keep-alive", "X-Mine": "1"}).json()
    assert found["headers"] == {}


def listening_on(live):
    """The ports on which the push server's children listen."""
    inodes = set()
    for pid in children_of(live.push.pid):
        for each in os.scandir(f"/proc/{pid}/fd"):
            inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(each.path)))
    ports = set()
    with open("/proc/net/tcp") as table:
        for fields in map(str.split, table):
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].partition(":")[2], 16))
    return ports


def test_an_answer_arrives_as_it_is(live):
    response = get(live, "/two-cookies/", allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (302, "/elsewhere/")
    assert response.cookies.get_dict() == {"one": "1", "two": "2"}
    response = get(live, "/empty/")
    assert (response.status_code, response.content) == (204, b"")
    response = requests.head(f"{live.push_url}/author/1/", timeout=20)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["Content-Length"]) > 100
    response = get(live, "/nowhere/")
    assert response.status_code == 404
    assert "DEBUG" in response.text, "Django's own page"


def test_what_is_streamed_comes_as_it_is_made(live):
    with get(live, "/stream/", stream=True) as response:
        lines = response.iter_lines()
        assert next(lines) == b"first"
        get(live, "/go-on/")
        assert next(lines) == b"second"


def test_a_site_that_dies_is_started_again(live):
    response = get(live, "/die/")
    assert (response.status_code, "runserverpush" in response.text) == (502, True)
    live.push.wait_for("the site ended, and is started again")
    wait_until(lambda: get(live, "/author/1/").status_code == 200, "the site is back")


def test_it_ends_with_the_push_server(tmp_path):
    with Live(tmp_path, ENVIRON) as live:
        push = live.start_push("--allrequests")
        children = children_of(push.pid)
        # The site, and a renderer.
        assert len(children) == 2
        assert push.stop(timeout=4) == 0
        assert not any(os.path.exists(f"/proc/{pid}") for pid in children)
        assert "Traceback" not in push.output


def test_a_site_that_can_not_start_says_why(tmp_path):
    with Live(tmp_path) as live:
        arguments = ["127.0.0.1:0", "--noreload", "--allrequests"]
        line = fails(live, *arguments, LIVE_WSGI="tests.nowhere.application")
    assert "the site can't start" in line
    assert "tests.nowhere" in line
