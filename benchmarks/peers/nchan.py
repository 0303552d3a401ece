"""Nchan, a module of nginx in C: one worker, a channel to which all are subscribed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import installing
from benchmarks.peers import EVENT, Peer, Port
from benchmarks.processes import free_port
from benchmarks.watching import children
from tests.live.processes import wait_until

CONFIGURATION = """
load_module {root}/usr/lib/nginx/modules/ngx_nchan_module.so;
pid {folder}/pid;
error_log {folder}/error.log warn;
worker_processes 1;
daemon off;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location = /follow {{ nchan_subscriber websocket; nchan_channel_id all; }}
        location = /publish {{ nchan_publisher; nchan_channel_id all; }}
    }}
}}
"""


@contextmanager
def running() -> Iterator[Peer]:
    root = installing.debian()
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Its worker may run as somebody else.
        folder.chmod(0o755)
        conf = folder / "nginx.conf"
        conf.write_text(CONFIGURATION.format(root=root, folder=folder, port=port))
        libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib"
        process = subprocess.Popen(
            [root / "usr" / "sbin" / "nginx", "-c", conf, "-e", folder / "error.log"],
            env={**os.environ, "LD_LIBRARY_PATH": libraries},
        )
        try:
            wait_until(lambda: _listens(port), "nginx listens", 20)
            body = json.dumps(EVENT).encode()
            pids = [process.pid, *children(process.pid)]
            url = f"ws://127.0.0.1:{port}/follow"
            post = Port(port, "/publish", body).post
            yield Peer("nginx with Nchan", pids, url, None, post, mark="{", ready="")
        finally:
            process.terminate()
            process.wait(20)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
