"""Real processes for tests: the push server, the site, and what they print."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
MANAGE = [sys.executable, str(ROOT / "tests" / "live" / "manage.py")]
DEADLINE = 60.0
# By settings module, an empty database.
_MIGRATED: dict[str, bytes] = {}


class Process:
    """A child process whose output is read as it comes; both streams in one list."""

    def __init__(self, command: list[str], environ: dict[str, str], **options: Any) -> None:
        self.process = subprocess.Popen(
            command,
            env=environ,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)

    def wait_for(self, pattern: str, timeout: float = DEADLINE) -> re.Match[str]:
        """The first line that matches and has not been waited for before."""
        until = time.monotonic() + timeout
        while True:
            try:
                line = self._queue.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line matches {pattern!r} in:\n{self.output}")
            found = re.search(pattern, line)
            if found:
                return found

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = DEADLINE) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join(5)
            if self.process.stdout is not None and not self._reader.is_alive():
                self.process.stdout.close()


class Shell:
    """Runs code in the site's Django, each time in a new process."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = dict(environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.forks"],
            env=environ,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> str:
        """What the code prints; it has to end well."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(code)}\n")
        self._process.stdin.flush()
        ending = threading.Timer(DEADLINE, self._process.kill)
        ending.start()
        line = self._process.stdout.readline()
        ending.cancel()
        assert line, f"it did not end within {DEADLINE} s: {code}"
        status, out, error = json.loads(line)
        assert status == 0, out + error
        return out

    def stop(self) -> None:
        self._process.communicate(timeout=DEADLINE)


@dataclass
class Live:
    """One site, its database and its push server; at the end of a ``with`` both stop."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    push: Process | None = None
    site: Process | None = None
    port: int = 0
    notifier_port: int = 0
    site_port: int = 0
    _shell: Shell | None = None

    def __post_init__(self) -> None:
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "tests.live.settings",
            "LIVE_DATABASE": str(self.folder / "live.sqlite3"),
            **self.environ,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site_port}"

    @property
    def push_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def notifier_url(self) -> str:
        return f"http://127.0.0.1:{self.notifier_port}"

    def manage(
        self, *arguments: str, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end; ``stdin`` is what it can read."""
        done = subprocess.run(
            [*MANAGE, *arguments],
            env=self.environ,
            cwd=ROOT,
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def shell(self, code: str) -> str:
        """Run code in a process of its own, as ``manage.py shell``; returns what it prints."""
        if self._shell is not None and self._shell.environ != self.environ:
            self._shell.stop()
            self._shell = None
        if self._shell is None:
            self._shell = Shell(self.environ)
        return self._shell.run(code)

    def migrate(self) -> None:
        """Make the database: as the one that these settings made here before, if they did."""
        path = Path(self.environ["LIVE_DATABASE"])
        settings = self.environ["DJANGO_SETTINGS_MODULE"]
        if settings not in _MIGRATED:
            self.manage("migrate", "--run-syncdb", "--verbosity", "0")
            _MIGRATED[settings] = path.read_bytes()
        else:
            path.write_bytes(_MIGRATED[settings])

    def start(self, workers: int = 1) -> None:
        """Make the database, and start the push server and the site."""
        self.migrate()
        self.start_push()
        self.start_site(workers)

    def add_people(self) -> None:
        """An author, Selma, and the users ada and grace."""
        self.shell(
            "from django.contrib.auth.models import User\n"
            "from tests.project.models import Author\n"
            "Author.objects.create(pk=1, name='Selma')\n"
            "User.objects.create_user('ada', password='ada')\n"
            "User.objects.create_user('grace', password='grace')\n"
        )

    def author_names(self) -> dict[int, str]:
        """What the database holds of authors."""
        code = (
            "import json\n"
            "from tests.project.models import Author\n"
            "print(json.dumps(list(Author.objects.values_list('pk', 'name'))))"
        )
        return dict(json.loads(self.shell(code)))

    def start_push(self, *arguments: str) -> Process:
        """Start the push server; the second time on the ports of the first."""
        self.push = Process(
            [
                *MANAGE,
                "runserverpush",
                f"127.0.0.1:{self.port}",
                "--noreload",
                "--notifier-port",
                str(self.notifier_port),
                *arguments,
            ],
            self.environ,
        )
        ready = self.push.wait_for(
            r"is ready: (?:site and )?browsers on http://[\d.]+:(\d+)/.*:(\d+)/"
        )
        self.port, self.notifier_port = int(ready[1]), int(ready[2])
        self.environ["LIVE_PORT"] = str(self.port)
        self.environ["LIVE_NOTIFIER_PORT"] = str(self.notifier_port)
        return self.push

    def start_site(self, workers: int = 1) -> Process:
        """Start gunicorn on a free port."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(128)
            os.set_inheritable(listening.fileno(), True)
            self.site_port = listening.getsockname()[1]
            self.site = Process(
                [
                    sys.executable,
                    "-m",
                    "gunicorn",
                    "tests.live.wsgi",
                    "--no-control-socket",
                    "--bind",
                    f"fd://{listening.fileno()}",
                    "--workers",
                    str(workers),
                    "--worker-class",
                    "gthread",
                    "--threads",
                    "4",
                ],
                self.environ,
                pass_fds=[listening.fileno()],
            )
        for _ in range(workers):
            self.site.wait_for("Booting worker")
        return self.site

    def stop(self) -> None:
        for process in (self._shell, self.site, self.push):
            if process is not None:
                process.stop()


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 20) -> Any:
    """Poll for something that no process announces; fails naming it."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        threading.Event().wait(0.02)
    raise AssertionError(f"not within {timeout} s: {what}")
