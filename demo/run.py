#!/usr/bin/env python
"""Runs the demo: prepares its database, starts the site and the push server, ends both.

PORT, PUSH_PORT and NOTIFIER_PORT in the environment choose other ports.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
PORTS = {"PORT": 8000, "PUSH_PORT": 8013, "NOTIFIER_PORT": 8014}
START_SECONDS = 60
STOP_SECONDS = 3


class CannotRun(Exception):
    """The demo can't run or go on; ``str()`` says why in a sentence."""


def main():
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    children = {}
    # As Ctrl-C would, from when they can take it; until then there is nothing to save.
    how = signal.SIGTERM
    try:
        ports = chosen_ports()
        prepare_database()
        children["the site"] = start("runserver", f"127.0.0.1:{ports['PORT']}")
        children["the push server"] = start("runserverpush")
        addresses = [
            f"http://127.0.0.1:{ports['PORT']}/",
            f"http://127.0.0.1:{ports['NOTIFIER_PORT']}/health",
        ]
        if wait_until_all_answer(addresses, children, stop):
            how = signal.SIGINT
            address = f"http://127.0.0.1:{ports['PORT']}/"
            sys.stdout.write(f"\n  The demo is ready: {address}    (Ctrl-C ends it)\n\n")
            sys.stdout.flush()
        while not stop.wait(0.2):
            check(children)
    except CannotRun as error:
        return str(error)
    finally:
        end(children.values(), how)
    return 0


def chosen_ports():
    """The ports, all of them free; and in the environment for the settings."""
    ports = {}
    for name, default in PORTS.items():
        text = os.environ.setdefault(name, str(default))
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise CannotRun(f"{name}={text} is not a port: choose one from 1 to 65535.")
        ports[name] = int(text)
        if not is_free(ports[name]):
            raise CannotRun(
                f"Port {text} is in use: choose another with `make demo {name}={int(text) + 100}`."
            )
    return ports


def is_free(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def prepare_database():
    if start("migrate", "--verbosity", "0").wait():
        raise CannotRun("The demo's database can't be prepared.")


def start(*arguments):
    # A session of its own: Ctrl-C comes to this process alone, which then ends both in order.
    return subprocess.Popen(
        [sys.executable, HERE / "manage.py", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_until_all_answer(addresses, children, stop):
    deadline = time.monotonic() + START_SECONDS
    while not stop.is_set():
        check(children)
        addresses = [address for address in addresses if not answers(address)]
        if not addresses:
            return True
        if time.monotonic() > deadline:
            raise CannotRun(f"{addresses[0]} did not answer within {START_SECONDS} s.")
        stop.wait(0.1)
    return False


def answers(address):
    try:
        with urlopen(address, timeout=2) as response:
            return response.status == 200
    except (URLError, OSError):
        return False


def check(children):
    for name, child in children.items():
        if child.poll() is not None:
            raise CannotRun(f"{name.capitalize()} has ended (status {child.returncode}).")


def end(children, number):
    """Signal each child with all that it started; what lingers is killed."""
    deadline = time.monotonic() + STOP_SECONDS
    while running := [child for child in children if is_running(child)]:
        for child in running:
            os.killpg(child.pid, number)
        number = 0 if time.monotonic() < deadline else signal.SIGKILL
        time.sleep(0.02)


def is_running(child):
    """Is the child, or a process that it started, still there?"""
    child.poll()
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
