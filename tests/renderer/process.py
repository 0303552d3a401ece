"""A renderer as the push server has it: a child process and a socket to it."""

import json
import os
import socket
import subprocess
import sys

TIMEOUT = 30


class Process:
    """``python -m serverpush.renderer`` with one end of a socket pair."""

    def __init__(self, database, settings="tests.renderer.settings", **environ):
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(TIMEOUT)
        with theirs:
            self.child = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "serverpush.renderer", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "DJANGO_SETTINGS_MODULE": settings,
                    "SERVERPUSH_TEST_DATABASE": str(database),
                    "PYTHONUNBUFFERED": "",
                    **environ,
                },
            )
        self.stream = self.socket.makefile("rwb")

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.hang_up()
        self.child.kill()
        self.child.communicate()

    def read(self):
        return json.loads(self.stream.readline())

    def write(self, frame):
        self.stream.write(frame + b"\n")
        self.stream.flush()

    def ask(self, job):
        self.write(json.dumps(job.to_json()).encode())
        return self.read()

    def hang_up(self):
        self.stream.close()
        self.socket.close()

    def wait(self):
        """The exit status, and what was written to the standard streams."""
        out, err = self.child.communicate(timeout=TIMEOUT)
        return self.child.returncode, out + err
