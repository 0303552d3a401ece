"""The systemd units of docs/deploy: systemd's own opinion, and what the processes need."""

from __future__ import annotations

import configparser
import subprocess
import sys

import pytest

from serverpush.conf import Config
from serverpush.management.commands.runserverpush import STOP_SECONDS

from .proxies import SHIPPED, program

UNITS = {path.name: path for path in SHIPPED.glob("*.service")}
SITE, PUSH = "mysite.service", "mysite-serverpush.service"
ONE_OF_SEVERAL = "mysite-serverpush@.service"


class Unit(configparser.RawConfigParser):
    """A unit's keys, of which the last value counts."""

    def __init__(self, name):
        super().__init__(delimiters=("=",), comment_prefixes=("#",), strict=False)
        self.optionxform = str
        self.read_string(UNITS[name].read_text())


def verify(folder):
    """What systemd finds wrong with the units in a folder."""
    command = [program("systemd-analyze"), "verify", "--man=no"]
    units = sorted(str(path) for path in folder.glob("*.service"))
    done = subprocess.run([*command, *units], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    """The units, with programs that exist."""
    assert set(UNITS) == {SITE, PUSH, ONE_OF_SEVERAL}
    for name, path in UNITS.items():
        text = path.read_text()
        for each in ("python", "gunicorn"):
            text = text.replace(f"/srv/mysite/env/bin/{each}", sys.executable)
        assert "/env/" not in text.replace(sys.executable, "")
        (tmp_path / name).write_text(text)
    return tmp_path


def test_systemd_finds_nothing_wrong(folder):
    assert verify(folder) == ""


def test_systemd_would_find_a_wrong_key(folder):
    unit = folder / PUSH
    unit.write_text(unit.read_text().replace("KillMode=mixed", "KillMode=mixt"))
    assert "mixt" in verify(folder)


def test_the_push_server_has_the_time_that_its_end_takes():
    service = Unit(PUSH)["Service"]
    assert float(service["TimeoutStopSec"]) > STOP_SECONDS
    # To the whole group, it would end the renderers before the push server knows.
    assert service["KillMode"] == "mixed"


def test_the_push_server_may_open_as_many_files_as_it_takes_clients():
    # A polling client may hold two, and the rest is for renderers, log and database.
    assert int(Unit(PUSH)["Service"]["LimitNOFILE"]) > 2 * Config().max_connections + 1000


def test_one_of_several_is_as_the_only_one_but_for_where_it_listens():
    alone, several = Unit(PUSH)["Service"], Unit(ONE_OF_SEVERAL)["Service"]
    differs = {name for name in {*alone, *several} if alone.get(name) != several.get(name)}
    assert differs == {"ExecStart"}
    assert "127.0.0.1:%i --notifier-port $$((%i + 1))" in several["ExecStart"]


def test_both_may_write_to_where_the_state_file_is():
    settings = {}
    exec((SHIPPED / "settings.py").read_text(), settings)
    for name in UNITS:
        service = Unit(name)["Service"]
        assert settings["SERVERPUSH_STATE_FILE"].startswith(
            f"/var/lib/{service['StateDirectory']}/"
        )
        assert service["User"] == Unit(PUSH)["Service"]["User"]


def test_the_site_is_stopped_before_the_push_server():
    # systemd stops in the reverse of the order in which it starts.
    assert PUSH in Unit(SITE)["Unit"]["After"].split()
    assert PUSH not in Unit(SITE)["Unit"].get("Requires", "")
