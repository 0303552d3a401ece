"""A site with several push servers, which share a log in a real Redis."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from tests.cluster.redis import RedisServer
from tests.live.clients import Client
from tests.live.processes import Live, wait_until
from tests.live.visitors import Visitor

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.cluster.settings"}


class Several:
    """Push servers of one site; ``servers`` are they, and the first one's site is the site.

    Arguments:
        folder: where the database is, and what Redis leaves.
        options: Redis's settings.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.redis = RedisServer(folder / "redis", **options)
        self.servers: list[Live] = []
        self._clients: list[Client] = []
        self._visitors: list[Visitor] = []

    def start(self, count: int, **environ: str) -> Several:
        """Start Redis, the site, and so many push servers."""
        self.redis.start()
        environ = {**SETTINGS, "LIVE_BACKEND": self.redis.url, **environ}
        self.servers = [Live(self.folder, dict(environ)) for _ in range(count)]
        self.site.migrate()
        for each in self.servers:
            each.start_push()
        self.site.start_site()
        return self

    def stop(self) -> None:
        with ExitStack() as ending:
            ending.callback(self.redis.stop)
            for server in self.servers:
                ending.callback(server.stop)
            for client in self._clients:
                ending.callback(client.close)
            for visitor in self._visitors:
                ending.callback(visitor.session.close)

    @property
    def site(self) -> Live:
        return self.servers[0]

    def visitor(self, name: str = "") -> Visitor:
        self._visitors.append(Visitor(self.site, name))
        return self._visitors[-1]

    def client(self, server: int, visitor: Visitor | None = None, **auth: Any) -> Client:
        """A client that is connected to one of the servers."""
        headers = visitor.headers if visitor else {}
        client = Client(self.servers[server].push_url, auth, headers=headers)
        self._clients.append(client)
        return client

    def open(self, server: int, visitor: Visitor, path: str = "/public/", **auth: Any) -> Client:
        """Load a page, connect it to one of the servers, and wait until it is accepted."""
        record, _ = visitor.load(path)
        client = self.client(server, visitor, page=record["page"], since=record["since"], **auth)
        client.event("serverpush:ready")
        return client

    def send(self, **do: Any) -> None:
        """Let the site send messages; see ``views_messages.send``."""
        params = {"do": json.dumps(do)}
        response = requests.get(f"{self.site.url}/send/", params, timeout=20)
        assert response.text == "sent", response.text

    def post(self, server: int, path: str, body: dict[str, Any]) -> requests.Response:
        """Call a server's notifier port."""
        key = self.site.manage("serverpush_key").stdout.strip()
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{self.servers[server].notifier_url}{path}"
        return requests.post(url, json=body, headers=headers, timeout=20)

    def health(self, server: int) -> dict[str, Any]:
        url = f"{self.servers[server].notifier_url}/health"
        response = requests.get(url, timeout=20)
        return {**response.json(), "code": response.status_code}

    def wait_for_health(self, server: int, code: int, timeout: float = 30) -> dict[str, Any]:
        """Wait until a server says that it is well (200), or is not (503)."""

        def health() -> dict[str, Any] | None:
            found = self.health(server)
            return found if found["code"] == code else None

        found: dict[str, Any] = wait_until(health, f"/health of {server} says {code}", timeout)
        return found

    def metric(self, server: int, name: str) -> float:
        """The sum of a metric over its labels."""
        text = requests.get(f"{self.servers[server].notifier_url}/metrics", timeout=20).text
        lines = (each for each in text.splitlines() if each.startswith(name))
        return sum(float(each.rpartition(" ")[2]) for each in lines)
