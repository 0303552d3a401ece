"""The proxies' configurations of docs/deploy, run as they are shipped.

Only addresses, paths, the host's name and the certificate are other ones.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import ssl
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.live.processes import ROOT, Live, Process, wait_until

SHIPPED = ROOT / "docs" / "deploy"
HOST = "localhost"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"install Debian's package {name}: .ci/debian does"
    return found


def replaced(text: str, values: dict[str, str]) -> str:
    """The text with each of the names replaced, all of which must be in it."""
    for name, value in values.items():
        assert name in text, f"{name!r} is not in the shipped file"
        text = text.replace(name, value)
    assert "example.org" not in text
    assert "/mysite" not in text
    return text


@dataclass(frozen=True)
class Certificate:
    """A certificate for ``HOST`` that is its own authority."""

    path: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificate:
        made = cls(folder / "certificate.pem", folder / "key.pem")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
        command += ["-addext", f"subjectAltName=DNS:{HOST}", "-out", str(made.path)]
        subprocess.run([*command, "-keyout", str(made.key)], check=True, capture_output=True)
        return made


class Proxy:
    """A proxy before a live site, on ports of its own; ``url`` is the site's address there."""

    name = ""
    too_large = 413
    """The status with which a body over the limit is answered."""

    def __init__(self, live: Live, certificate: Certificate, folder: Path) -> None:
        self.live, self.certificate, self.folder = live, certificate, folder
        self._stack = ExitStack()
        self.tls_port, self.plain_port = self._reserve(), self._reserve()
        self.file = folder / self.name
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.tls_port}"

    @property
    def plain_url(self) -> str:
        return f"http://{HOST}:{self.plain_port}"

    def _reserve(self) -> int:
        """A free port that stays ours: bound, so nobody gets it; not listening, so a proxy may."""
        held = self._stack.enter_context(socket.socket())
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]

    def text(self) -> str:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def check(self) -> list[str]:
        """The command that says whether the configuration is right."""
        raise NotImplementedError

    def start(self) -> None:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        self.process = Process(self.command(), environ)
        wait_until(self._answers, f"{self.name} listens")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.process.poll() is None, self.process.output
        try:
            self.handshake(HOST).close()
        except OSError:
            return False
        return True

    def handshake(self, name: str, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """A TLS connection from ``source`` in which a client asks for the host of this name."""
        context = ssl.create_default_context(cafile=str(self.certificate.path))
        context.check_hostname = False
        address = ("127.0.0.1", self.tls_port)
        plain = socket.create_connection(address, timeout=10, source_address=(source, 0))
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except OSError:
            plain.close()
            raise

    def stop(self) -> None:
        try:
            if self.process is not None:
                self.process.stop()
        finally:
            self._stack.close()


class Nginx(Proxy):
    name = "nginx.conf"

    def __init__(
        self, live: Live, certificate: Certificate, folder: Path, *, connections: int = 500
    ) -> None:
        super().__init__(live, certificate, folder)
        self.connections = connections
        self.file.write_text(self.text())

    def text(self) -> str:
        temporary = "".join(f"{each}_temp_path {self.folder}/{each};\n" for each in TEMPORARY)
        return replaced(
            (SHIPPED / self.name).read_text(),
            {
                "user www-data;": f"user {getpass.getuser()};",
                "/run/nginx.pid": f"{self.folder}/nginx.pid",
                "/var/log/nginx/error.log": "stderr",
                "/var/log/nginx/access.log": f"{self.folder}/access.log",
                "http {": f"http {{\n{temporary}",
                "/etc/ssl/mysite/fullchain.pem": str(self.certificate.path),
                "/etc/ssl/mysite/privkey.pem": str(self.certificate.key),
                "/srv/mysite": self.live.environ["DEPLOY_FOLDER"],
                "www.example.org": HOST,
                "listen 80 ": f"listen 127.0.0.1:{self.plain_port} ",
                "listen [::]:80 ": f"listen unix:{self.folder}/plain ",
                "listen 443 ": f"listen 127.0.0.1:{self.tls_port} ",
                "listen [::]:443 ": f"listen unix:{self.folder}/tls ",
                "127.0.0.1:8000": f"127.0.0.1:{self.live.site_port}",
                "127.0.0.1:8013": f"127.0.0.1:{self.live.port}",
                "live_pages 500": f"live_pages {self.connections}",
            },
        )

    def command(self) -> list[str]:
        # In one process, which needs no other user for its children.
        return [*self._nginx(), "-g", "daemon off; master_process off;"]

    def check(self) -> list[str]:
        return [*self._nginx(), "-t"]

    def _nginx(self) -> list[str]:
        return [program("nginx"), "-e", "stderr", "-p", str(self.folder), "-c", str(self.file)]


class SeveralNginx(Nginx):
    """With ``push-servers.conf``, as its first lines say; all three are the one push server."""

    def text(self) -> str:
        servers = (SHIPPED / "push-servers.conf").read_text()
        ports = dict.fromkeys(("8013", "8023", "8033"), str(self.live.port))
        values = {f"127.0.0.1:{port}": f"127.0.0.1:{own}" for port, own in ports.items()}
        path = self.folder / "push-servers.conf"
        path.write_text(replaced(servers, values))
        included = {
            f"proxy_pass http://127.0.0.1:{self.live.port};": (
                f"include {SHIPPED / 'push-servers-location.conf'};"
            ),
            "http {": f"http {{\ninclude {path};",
        }
        return replaced(super().text(), included)


class Caddy(Proxy):
    name = "Caddyfile"
    # The push server's own answer.
    too_large = 400

    def __init__(self, live: Live, certificate: Certificate, folder: Path) -> None:
        super().__init__(live, certificate, folder)
        self.file.write_text(self.text())

    def text(self) -> str:
        # Where Caddy listens, and a certificate that it need not ask anybody for.
        options = f"admin off\nhttps_port {self.tls_port}\nhttp_port {self.plain_port}"
        site = f"bind 127.0.0.1\ntls {self.certificate.path} {self.certificate.key}"
        return replaced(
            (SHIPPED / self.name).read_text(),
            {
                "www.example.org {": f"{{\n{options}\n}}\n{HOST} {{\n{site}",
                "www.example.org": HOST,
                "/srv/mysite": self.live.environ["DEPLOY_FOLDER"],
                "127.0.0.1:8000": f"127.0.0.1:{self.live.site_port}",
                "127.0.0.1:8013": f"127.0.0.1:{self.live.port}",
            },
        )

    def command(self) -> list[str]:
        return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(self.file)]

    def check(self) -> list[str]:
        return [program("caddy"), "validate", "--adapter", "caddyfile", "--config", str(self.file)]
