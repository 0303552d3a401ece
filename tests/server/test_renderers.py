"""The pool: real renderers, and work that is more, larger or worse than they can take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from serverpush.jobs import AccessJob, ResolveJob
from serverpush.protocol import Page, Visitor
from serverpush.server import child as module
from serverpush.server.renderer import Renderer, started
from serverpush.server.renderers import Pool
from serverpush.server.telemetry import Telemetry
from serverpush.server.transport import loop

WAIT = 30.0
NOBODY = AccessJob(())
# More than a socket's buffer holds.
LARGE = AccessJob((("x" * 4_000_000, ""),))
NONSENSE = """
import socket, sys
link = socket.socket(fileno=int(sys.argv[1]))
link.sendall(b"{}\\n")
for line in link.makefile("rb"):
    link.sendall(b"a secret payload\\n")
"""


@pytest.fixture
def green():
    """Runs a function in a thread with a loop of its own, and gives what it returns."""

    def run(function):
        found = []
        thread = threading.Thread(target=lambda: found.append(loop.run(function)), daemon=True)
        thread.start()
        thread.join(WAIT)
        assert found, "it failed, or still waits"
        return found[0]

    return run


def waited_for(condition):
    until = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < until
        loop.sleep(0.01)


class Work:
    """What a pool has to do, and what became of it, in its order."""

    def __init__(self, *jobs):
        self.jobs = list(jobs)
        self.told = []

    def next_job(self):
        found = self.jobs.pop(0) if self.jobs else None
        if isinstance(found, Exception):
            raise found
        return found and (found, found)

    def pool(self, count=1):
        return Pool(
            count=count,
            timeout=WAIT,
            next_job=self.next_job,
            on_result=lambda ticket, result: self.told.append("update"),
            on_failed=lambda ticket, reason: self.told.append(reason),
            telemetry=Telemetry(),
        )

    def resolve(self, pool):
        pool.resolve(ResolveJob(Page("/no/such/", host="testserver"), Visitor()))
        self.told.append("url")


def test_one_that_is_stopped_is_given_up_in_time_even_by_a_large_job(green):
    def ask():
        renderer = started()
        try:
            os.kill(renderer.process.pid, signal.SIGSTOP)
            with pytest.raises(TimeoutError):
                renderer.ask(LARGE, 0.2)
        finally:
            renderer.end(kill=True)
        return True

    assert green(ask)


def test_with_one_renderer_urls_and_updates_take_turns(green):
    work = Work(*[NOBODY] * 6)

    def serve():
        pool = work.pool()
        for _ in range(6):
            loop.spawn(work.resolve, pool)
        loop.sleep()
        pool.start()
        waited_for(lambda: len(work.told) == 12)
        pool.stop()
        return work.told

    assert sorted(green(serve)[:6]) == ["update"] * 3 + ["url"] * 3


class Unspeakable(AccessJob):
    def to_json(self):
        raise RuntimeError("no words for it")


def test_what_fails_unexpectedly_costs_neither_a_renderer_nor_an_answer(green, caplog):
    work = Work(RuntimeError("the core is wrong"), NOBODY, Unspeakable(()), NOBODY)

    def serve():
        pool = work.pool()
        pool.start()
        while len(work.told) < 3:
            pool.wake()
            loop.sleep(0.01)
        waited_for(lambda: pool.ready == 1)
        pool.stop()
        return work.told, pool.ready

    told, ready = green(serve)
    assert told == ["update", "its renderer died, 2 times", "update"]
    assert ready == 0
    assert "the core is wrong" in caplog.text
    assert "could not start" not in caplog.text, "it is not the renderer's fault"
    assert "no words for it" in caplog.text


def test_one_that_could_not_be_started_for_an_unknown_reason_is_started_again(green, monkeypatch):
    start, failures = module._start, [ValueError("never heard of it")] * 2

    def starts(sock, *arguments):
        if failures and processes:
            raise failures.pop()
        processes.append(start(sock, *arguments))
        return processes[-1]

    processes = []
    monkeypatch.setattr(module, "_start", starts)

    def serve():
        pool = Work().pool()
        pool.start()
        loop.sleep()
        processes[0].kill()
        waited_for(lambda: len(processes) == 2)
        waited_for(lambda: pool.ready == 1)
        pool.stop()
        return True

    assert green(serve)
    assert not failures


def test_a_result_that_can_not_be_read_is_not_logged(green, monkeypatch, caplog):
    def start(sock, *_):
        number = sock.fileno()
        return subprocess.Popen(
            [sys.executable, "-c", NONSENSE, str(number)],
            pass_fds=[number],
        )

    monkeypatch.setattr(module, "_start", start)

    def ask():
        renderer = Renderer()
        try:
            renderer.wait_ready()
            return renderer.ask(NOBODY, WAIT) is None
        finally:
            renderer.end(kill=True)

    assert green(ask)
    assert "a result of 16 bytes can't be read" in caplog.text
    assert "secret" not in caplog.text
