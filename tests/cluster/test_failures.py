"""What may become of Redis, and of what is in it: nothing is lost without a word."""

from __future__ import annotations

import json
import time

import pytest
import requests

from serverpush.tokens import sign_record
from tests.cluster.front import Front
from tests.cluster.redis import RedisServer, free_port
from tests.cluster.several import SETTINGS
from tests.deploy.proxies import Certificate
from tests.live.clients import Client
from tests.live.processes import MANAGE, Live, Process, wait_until

LOG = "serverpush:{serverpush}:log"


class Starting:
    """A push server that may never be ready."""

    def __init__(self, folder, url):
        self.live = Live(folder, {**SETTINGS, "LIVE_BACKEND": url})
        self.live.migrate()
        self.live.port, self.live.notifier_port = free_port(), free_port()
        ports = [f"127.0.0.1:{self.live.port}", "--notifier-port", str(self.live.notifier_port)]
        self.live.push = Process(
            [*MANAGE, "runserverpush", *ports, "--noreload"], self.live.environ
        )

    def health(self):
        try:
            answer = requests.get(f"{self.live.notifier_url}/health", timeout=20)
        except requests.ConnectionError:
            return None
        return answer.status_code, answer.json()["status"]


@pytest.fixture
def starting(tmp_path):
    started = []

    def start(url):
        started.append(Starting(tmp_path, url))
        return started[-1]

    yield start
    for each in started:
        each.live.stop()


@pytest.fixture
def redis_server(tmp_path):
    started = []

    def make(**options):
        started.append(RedisServer(tmp_path / "redis", **options))
        return started[-1]

    yield make
    for each in started:
        each.stop()


def handshake(url):
    """The status with which a polling client's first request is answered."""
    address = f"{url}/socket.io/?EIO=4&transport=polling"
    return requests.get(address, headers={"Origin": url}, timeout=20).status_code


class From(requests.adapters.HTTPAdapter):
    """Connects from an address of this machine: by it nginx chooses a server for who polls."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **options):
        super().init_poolmanager(*args, **options, source_address=(self.address, 0))


def poll(url, auth, address):
    """Connect by polling, from an address."""
    with requests.Session() as session:
        session.mount("http://", From(address))
        polling = f"{url}/socket.io/?EIO=4&transport=polling"
        opened = session.get(polling, timeout=20)
        polling += f"&sid={json.loads(opened.text[1:])['sid']}"
        sent = session.post(polling, data=f"40{json.dumps(auth)}", timeout=20)
        assert (sent.status_code, sent.text) == (200, "OK")
        assert session.get(polling, timeout=20).text.startswith("40")


class TestStart:
    def test_a_state_file_of_a_time_without_redis_is_removed(self, starting, tmp_path):
        """Else a push server that has its own log again would take it for the last word."""
        path = tmp_path / "live.sqlite3.state"
        path.write_text("")
        server = starting(f"redis://127.0.0.1:{free_port()}/0").live.push
        server.wait_for(f"removed the state file {path}")
        assert not path.exists()

    def test_without_redis_it_waits_and_says_so_once(self, starting, redis_server):
        redis = redis_server()
        server = starting(redis.url)
        push = server.live.push
        push.wait_for(rf"Redis at 127.0.0.1:{redis.port}/0 can't be used: .*Connection refused")
        code, status = wait_until(server.health, "the notifier listens")
        assert code == 503
        assert "has not read the log yet: Redis at 127.0.0.1" in status
        assert handshake(server.live.push_url) == 503
        redis.start()
        push.wait_for("is back")
        push.wait_for("is ready")
        assert server.health() == (200, "ok")
        assert push.output.count("can't be used") == 1

    def test_a_wrong_password(self, starting, redis_server):
        redis = redis_server(requirepass="right").start()
        server = starting(redis.url.replace("redis://", "redis://:wrong@"))
        server.live.push.wait_for(r"Redis at 127\.0\.0\.1.*invalid username-password pair")
        assert server.health()[0] == 503
        assert "wrong@" not in server.live.push.output

    def test_a_password(self, starting, redis_server):
        redis = redis_server(requirepass="right").start()
        server = starting(redis.url.replace("redis://", "redis://:right@"))
        server.live.push.wait_for("is ready")

    def test_a_unix_socket(self, starting, redis_server, tmp_path):
        path = tmp_path / "redis.sock"
        redis_server(unixsocket=str(path)).start()
        server = starting(f"unix://{path}")
        server.live.push.wait_for("is ready")

    def test_tls(self, starting, redis_server, tmp_path):
        certificate, port = Certificate.make(tmp_path), free_port()
        options = {
            "tls-port": str(port),
            "tls-cert-file": str(certificate.path),
            "tls-key-file": str(certificate.key),
            "tls-ca-cert-file": str(certificate.path),
            "tls-auth-clients": "no",
        }
        redis_server(**options).start()
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate.path}"
        server = starting(url)
        server.live.push.wait_for("is ready")


def fence(several):
    several.send(notify_all=["fence"])


class TestWhatIsInTheLog:
    def test_what_was_forged_is_not_believed(self, two):
        page = two.open(0, two.visitor())
        before = two.metric(0, "serverpush_records_refused_total")
        body = '{"changes":[],"messages":[{"to":"all","data":"forged"}]}'
        signature = sign_record(b"/notify", b'{"changes":[]}')
        fields = {"call": "/notify", "body": body, "signature": signature}
        two.redis.client().xadd(LOG, fields)
        fence(two)
        assert page.event("message")[0] == "fence"
        assert two.metric(0, "serverpush_records_refused_total") == before + 1

    def test_what_is_signed_and_can_not_be_read_is_a_gap(self, two):
        page = two.open(0, two.visitor(), "/author/1/")
        body = b'{"changes":[{"model":"of.tomorrow","pk":1}]}'
        fields = {"call": "/notify", "body": body, "signature": sign_record(b"/notify", body)}
        two.redis.client().xadd(LOG, fields)
        assert page.event("serverpush:refresh")[0]["reason"] == "gap"


class TestLosses:
    def test_the_end_of_the_log_is_lost(self, two):
        """As where the machine of Redis lost its power within the second."""
        pages = [two.open(number, two.visitor(), "/author/1/") for number in (0, 1)]
        [path] = (two.folder / "redis" / "appendonlydir").glob("*.incr.aof")
        before = path.stat().st_size
        two.visitor().get("/author/1/save/", name="Anna")
        for page in pages:
            page.event("author")
        two.redis.stop()
        with path.open("r+b") as file:
            file.truncate(before)
        two.redis.start()
        for page in pages:
            assert page.event("serverpush:refresh")[0]["reason"] == "gap"

    def test_a_log_that_was_read_is_not_taken_for_lost(self, two):
        pages = [two.open(number, two.visitor(), "/author/1/") for number in (0, 1)]
        two.redis.client().xtrim(LOG, maxlen=0, approximate=False)
        two.redis.restart()
        two.visitor().get("/author/1/save/", name="Berta")
        for page in pages:
            assert "Berta" in str(page.event("author")[0])


class TestAway:
    def test_while_redis_answers_nothing_the_site_goes_on(self, two):
        page = two.open(0, two.visitor())
        two.redis.pause()
        try:
            began = time.monotonic()
            for number in range(3):
                two.send(notify_all=[number])
            assert time.monotonic() - began < 2
            health = two.wait_for_health(0, 503, timeout=15)
            assert "does not hear the others" in health["status"]
            assert handshake(two.servers[0].push_url) == 503
        finally:
            two.redis.resume()
        assert [page.event("message", 20)[0] for _ in range(3)] == [0, 1, 2]
        two.wait_for_health(0, 200)

    def test_a_full_redis(self, two):
        page = two.open(0, two.visitor())
        client = two.redis.client()
        client.config_set("maxmemory", "1mb")
        try:
            two.send(notify_all=["one"])
            two.site.site.wait_for(r"can't be used: command not allowed when used memory")
            two.wait_for_health(0, 503, timeout=15)
            answer = two.post(0, "/publish", {"to": "all", "data": "not taken"})
            assert answer.status_code == 503
            assert "maxmemory" in answer.json()["error"]
        finally:
            # The tests after this one have the same Redis.
            client.config_set("maxmemory", "0")
        two.wait_for_health(0, 200)
        two.send(notify_all=["two"])
        assert [page.event("message", 20)[0] for _ in range(2)] == ["one", "two"]

    def test_behind_nginx_nobody_is_left_to_a_server_that_is_cut_off(self, several, tmp_path):
        there = several(1, LIVE_LET_GO="12")
        client = there.redis.client()
        client.acl_setuser("cut", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all"])
        url = there.redis.url.replace("redis://", "redis://cut:pw@")
        other = Live(there.folder, {**there.site.environ, "LIVE_BACKEND": url})
        other.start_push()
        there.servers.append(other)
        front = Front(tmp_path / "front", [each.port for each in there.servers])
        try:
            stays = there.open(1, there.visitor())
            client.acl_setuser("cut", enabled=False)
            client.execute_command("CLIENT", "KILL", "USER", "cut")
            there.wait_for_health(1, 503, timeout=20)
            assert there.health(0)["code"] == 200
            record, _ = there.visitor().load("/public/")
            url = f"http://127.0.0.1:{front.port}"
            for _ in range(3):
                page = Client(url, {"page": record["page"]}, transports=["websocket"])
                page.event("serverpush:ready")
                page.close()
            for number in range(1, 9):
                poll(url, {"page": record["page"]}, f"127.0.0.{number}")
            # Nor is who was there before.
            assert stays.ended.wait(20)
            assert there.health(1)["connections"] == 0
        finally:
            front.stop()

    def test_a_restarted_redis(self, two):
        pages = [two.open(number, two.visitor()) for number in (0, 1)]
        for number in range(3):
            two.redis.stop()
            two.send(notify_all=[number])
            two.redis.start()
            for page in pages:
                assert page.event("message", 20)[0] == number
