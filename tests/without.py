"""A pytest plugin that takes one defence out, and a process that does so for many.

``python -m pytest -p tests.without --without NAME TESTS`` shows that they fail.
``python -m tests.without FOLDER MOST NAME…`` runs so many tests of each in a child, and leaves
pytest's report in ``FOLDER/NAME.xml`` and what it printed in ``FOLDER/NAME.txt``.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

from tests.defences import BY_NAME
from tests.live.manage import WITHOUT

WAIT = 2
"""Seconds that the transport's tests wait for what does not come; otherwise 10."""
AT_ONCE = 4
"""Children; they mostly wait."""
OPTIONS = ["-p", "tests.without", "-p", "no:cacheprovider", "-q"]


def pytest_addoption(parser):
    parser.addoption("--without", metavar="NAME", help="take this defence out")


def pytest_configure(config):
    name = config.getoption("--without")
    if name:
        BY_NAME[name].take_out()
        # So do the commands that a test starts.
        os.environ[WITHOUT] = name


def pytest_collection_finish(session):
    if session.config.getoption("--without"):
        # pytest imports it by a name of its own, tests by another.
        for name in ("conftest", "tests.server.transport.conftest"):
            if hasattr(sys.modules.get(name), "WAIT"):
                sys.modules[name].WAIT = WAIT


def fork(name: str, tests: tuple[str, ...], folder: Path) -> None:
    """Run tests of one defence without it, in a child."""
    if os.fork():
        return
    try:
        output = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        report = f"--junitxml={folder / name}.xml"
        pytest.main([*OPTIONS, "--without", name, report, *tests])
    finally:
        # Threads that hang without their defence are not waited for.
        os._exit(0)


def main() -> None:
    folder, most, *names = sys.argv[1:]
    chosen = {name: BY_NAME[name].tests[: int(most)] for name in names}
    # Collecting imports all that the children need.
    tests = [test for each in chosen.values() for test in each]
    if pytest.main([*OPTIONS, "--collect-only", *tests]):
        raise SystemExit("not all of the tests are there")
    # A collection in a child would write to, and so copy, all that it shares with this process.
    gc.freeze()
    running = 0
    for name in names:
        if running == AT_ONCE:
            os.wait()
            running -= 1
        fork(name, chosen[name], Path(folder))
        running += 1
    for _ in range(running):
        os.wait()


if __name__ == "__main__":
    main()
