"""nginx before several push servers, with the shipped files for it; without TLS."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from tests.cluster.redis import free_port
from tests.deploy.proxies import SHIPPED, TEMPORARY, program
from tests.live.processes import Process, wait_until

PORTS = (8013, 8023, 8033)
CONFIGURATION = """
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    {temporary}
    access_log off;
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' close;
    }}
    include {folder}/push-servers.conf;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            include {location};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_read_timeout 90s;
        }}
    }}
}}
"""


def shipped(ports: list[int]) -> str:
    """``push-servers.conf`` with other ports; fewer than three leave the last ones out."""
    text = (SHIPPED / "push-servers.conf").read_text()
    for number, port in enumerate(PORTS):
        assert f"127.0.0.1:{port}" in text
        if number < len(ports):
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ports[number]}")
        else:
            text = re.sub(rf"\n *server 127\.0\.0\.1:{port}.*", "", text)
    return text


class Front:
    """One port for the push servers on ``ports``."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        folder.mkdir()
        self.port = free_port()
        temporary = "".join(f"{each}_temp_path {folder}/{each};\n" for each in TEMPORARY)
        text = CONFIGURATION.format(
            folder=folder,
            port=self.port,
            temporary=temporary,
            location=SHIPPED / "push-servers-location.conf",
        )
        (folder / "nginx.conf").write_text(text)
        (folder / "push-servers.conf").write_text(shipped(ports))
        options = ["-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        foreground = ["-g", "daemon off; master_process off;"]
        self._process = Process([program("nginx"), *options, *foreground], {})
        wait_until(self._listens, "nginx listens")

    def _listens(self) -> bool:
        assert self._process.process.poll() is None, self._process.output
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self._process.stop()
