"""The demo: its own tests, and ``run.py``, which ``make demo`` calls."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo"
PORTS = ("PORT", "PUSH_PORT", "NOTIFIER_PORT")
SECONDS = 90


@pytest.fixture
def environ(tmp_path):
    """An environment with free ports and a database of its own."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = {name: str(sock.getsockname()[1]) for name, sock in zip(PORTS, sockets, strict=True)}
    for sock in sockets:
        sock.close()
    environ = dict(os.environ, DEMO_DATABASE=str(tmp_path / "demo.sqlite3"), **ports)
    environ.pop("DJANGO_SETTINGS_MODULE", None)
    environ["XDG_STATE_HOME"] = str(tmp_path)
    return environ


@pytest.fixture
def demo(environ):
    """The running demo, ready, and its address."""
    process = run(environ)
    try:
        line = next(line for line in process.stdout if "ready" in line)
        yield process, re.search(r"http://\S+", line)[0]
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def run(environ):
    return subprocess.Popen(
        [sys.executable, DEMO / "run.py"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def status_of(address):
    with urlopen(address, timeout=10) as response:
        return response.status


def test_its_own_tests_pass(environ):
    command = [sys.executable, "-W", "error", DEMO / "manage.py", "test", "pages"]
    done = subprocess.run(
        command, cwd=DEMO, env=environ, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr


def test_its_migrations_are_complete(environ):
    command = [sys.executable, DEMO / "manage.py", "makemigrations", "--check", "--dry-run"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_when_it_says_so_and_a_signal_ends_it_and_frees_its_ports(demo, environ, number):
    process, address = demo
    assert status_of(address) == 200
    assert status_of(f"http://127.0.0.1:{environ['NOTIFIER_PORT']}/health") == 200
    process.send_signal(number)
    rest, errors = process.communicate(timeout=4)
    assert (process.returncode, rest.strip(), errors) == (0, "", "")
    for name in PORTS:
        socket.create_server(("127.0.0.1", int(environ[name]))).close()


@pytest.mark.parametrize("name", PORTS)
def test_a_port_in_use_is_named(environ, name):
    with socket.create_server(("127.0.0.1", int(environ[name]))):
        _, errors = (process := run(environ)).communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert f"Port {environ[name]} is in use" in errors
    assert f"make demo {name}=" in errors


def test_what_is_no_port_is_named(environ):
    environ["PUSH_PORT"] = "eight"
    _, errors = (process := run(environ)).communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert errors == "PUSH_PORT=eight is not a port: choose one from 1 to 65535.\n"


def test_it_ends_when_a_part_of_it_ends(demo, environ):
    process, _ = demo
    site = next(pid for pid in children_of(process.pid) if "runserver\0" in command_of(pid))
    os.kill(site, signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors == "The site has ended (status 0).\n"
    for name in PORTS:
        socket.create_server(("127.0.0.1", int(environ[name]))).close()


def children_of(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()
