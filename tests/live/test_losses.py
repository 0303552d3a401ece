"""A site's process that is killed with changes waiting: pages are told when they come back."""

from __future__ import annotations

import os
import signal

import requests

from .clients import Client, browse
from .processes import Live, wait_until


def test_a_process_is_killed_while_the_push_server_is_away(tmp_path):
    live = Live(tmp_path)
    clients = []

    def connect(**auth):
        clients.append(Client(live.push_url, auth))
        return clients[-1]

    try:
        live.migrate()
        live.shell(
            "from tests.project.models import Author; Author.objects.create(pk=1, name='Selma')"
        )
        live.start_push()
        live.start_site()
        record = browse(f"{live.url}/author/1/")[1]
        first = connect(page=record["page"])
        ready = first.event("serverpush:ready")[0]
        # The library leaves it open where the server closes it.
        first.close()
        live.push.stop()
        saved = requests.get(f"{live.url}/author/1/save/?name=Astrid", timeout=20)
        worker = int(saved.headers["X-Process"])
        wait_until(lambda: list(tmp_path.glob(f"*.losses.{worker}")), "the will is left")
        os.kill(worker, signal.SIGKILL)
        live.site.wait_for("Booting worker")
        live.start_push()
        back = connect(page=record["page"], since=ready["position"])
        while (event := back.next())[0] != "serverpush:refresh":
            # The gap may be noticed before this page is there, or after.
            assert event[0] == "serverpush:ready"
        assert event[1] == ({"reason": "gap"},)
        assert not list(tmp_path.glob("*.losses*"))
    finally:
        for each in clients:
            each.close()
        live.stop()
