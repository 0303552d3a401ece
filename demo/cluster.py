#!/usr/bin/env python
"""Runs the demo with three push servers: Redis, nginx and the site beside them.

PORT in the environment chooses another port; all others are free ones. A push server
that ends, by the button in the pages' footer for example, is started again.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import run

SHIPPED = run.HERE.parent / "docs" / "deploy"
SERVERS = 3
# Long enough to see what its pages do meanwhile.
AWAY_SECONDS = 5
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' close;
    }}
    include {folder}/push-servers.conf;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{site};
        }}
        location /socket.io/ {{
            include {location};
            proxy_buffering off;
            proxy_read_timeout 90s;
        }}
    }}
}}
"""


class Cluster:
    """What runs, by what it is called; ``servers`` are the push servers' ports."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port
        self.site, self.redis, *ports = free_ports(2 + 2 * SERVERS)
        self.servers = dict(zip(ports[:SERVERS], ports[SERVERS:], strict=True))
        self.children = {}
        self.away = {}

    def environ(self):
        """What the demo's settings are to know."""
        port, notifier_port = next(iter(self.servers.items()))
        return {
            "DEMO_BACKEND": f"redis://127.0.0.1:{self.redis}/0",
            # The pages' own origin, where nginx is.
            "DEMO_URL": "",
            "DEMO_SERVERS": str(self.folder),
            "PUSH_PORT": str(port),
            "NOTIFIER_PORT": str(notifier_port),
        }

    def start(self):
        self.begin("Redis", "redis-server", "--port", self.redis, *self.redis_options())
        self.begin("nginx", "nginx", "-e", "/dev/null", "-p", self.folder, "-c", self.configure())
        self.children["the site"] = run.start("runserver", f"127.0.0.1:{self.site}")
        for port in self.servers:
            self.start_server(port)

    def start_server(self, port):
        child = run.start(
            "runserverpush",
            f"127.0.0.1:{port}",
            "--notifier-port",
            str(self.servers[port]),
            "--renderers",
            "1",
            "--noreload",
        )
        self.children[f"push server {port}"] = child
        # By which the site's button knows whom to kill.
        (self.folder / f"{port}.pid").write_text(str(child.pid))

    def begin(self, name, *command):
        self.children[name] = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def redis_options(self):
        return ["--bind", "127.0.0.1", "--dir", self.folder, "--appendonly", "yes", "--save", ""]

    def configure(self):
        """Write nginx's files, and return the path of the one to begin with."""
        ports = iter(self.servers)
        chosen = {name: next(ports) for name in ("8013", "8023", "8033")}
        shipped = re.sub(
            r"127\.0\.0\.1:(80\d3)",
            lambda found: f"127.0.0.1:{chosen[found[1]]}",
            (SHIPPED / "push-servers.conf").read_text(),
        )
        (self.folder / "push-servers.conf").write_text(shipped)
        path = self.folder / "nginx.conf"
        location = SHIPPED / "push-servers-location.conf"
        path.write_text(
            CONFIGURATION.format(
                folder=self.folder, port=self.port, site=self.site, location=location
            )
        )
        return path

    def addresses(self):
        health = [f"http://127.0.0.1:{port}/health" for port in self.servers.values()]
        return [f"http://127.0.0.1:{self.port}/", *health]

    def look_around(self):
        """Start push servers again that have ended a while ago; whatever else ends is the end."""
        now = time.monotonic()
        for port in self.servers:
            child = self.children[f"push server {port}"]
            if child.poll() is not None and port not in self.away:
                self.away[port] = now + AWAY_SECONDS
                say(f"Push server {port} has ended, and is back in {AWAY_SECONDS} s.")
            elif port in self.away and now > self.away[port]:
                del self.away[port]
                self.start_server(port)
        run.check(
            {
                name: child
                for name, child in self.children.items()
                if not name.startswith("push server")
            }
        )


def main():
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    how = signal.SIGTERM
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-cluster-")))
        cluster = None
        try:
            look_for_programs()
            cluster = Cluster(folder, chosen_port())
            os.environ.update(cluster.environ())
            run.prepare_database()
            cluster.start()
            if run.wait_until_all_answer(cluster.addresses(), cluster.children, stop):
                how = signal.SIGINT
                ports = ", ".join(map(str, cluster.servers))
                say(f"Three push servers run on the ports {ports}, behind nginx.")
                say(f"The demo is ready: http://127.0.0.1:{cluster.port}/    (Ctrl-C ends it)\n")
            while not stop.wait(0.2):
                cluster.look_around()
        except run.CannotRun as error:
            return str(error)
        finally:
            if cluster is not None:
                run.end(cluster.children.values(), how)
    return 0


def look_for_programs():
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [name for name in ("redis-server", "nginx") if shutil.which(name) is None]
    if missing:
        raise run.CannotRun(
            f"This demo needs {' and '.join(missing)}: "
            f"run `sudo apt-get install {' '.join(missing)}`."
        )


def chosen_port():
    text = os.environ.get("PORT") or str(run.PORTS["PORT"])
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise run.CannotRun(f"PORT={text} is not a port: choose one from 1 to 65535.")
    if not run.is_free(int(text)):
        other = int(text) + 100
        raise run.CannotRun(
            f"Port {text} is in use: choose another with `make demo-cluster PORT={other}`."
        )
    return int(text)


def free_ports(count):
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


def say(sentence):
    sys.stdout.write(f"  {sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
