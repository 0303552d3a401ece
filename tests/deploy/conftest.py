"""A live site with the settings of docs/deploy, and the proxies before it."""

from __future__ import annotations

import pytest

from tests.live.processes import Live

from .proxies import Caddy, Certificate, Nginx, SeveralNginx

PROXIES = {"nginx": Nginx, "caddy": Caddy, "nginx-several": SeveralNginx}


@pytest.fixture(scope="package")
def live(tmp_path_factory):
    """A site with one gunicorn worker and a push server, with an author and two users."""
    folder = tmp_path_factory.mktemp("deploy")
    environ = {
        "DJANGO_SETTINGS_MODULE": "tests.deploy.settings",
        "DEPLOY_FOLDER": str(folder),
        # gunicorn would believe the proxy by itself; other servers leave that to the settings.
        "FORWARDED_ALLOW_IPS": "192.0.2.1",
    }
    with Live(folder, environ) as live:
        live.manage("collectstatic", "--no-input", "--verbosity", "0")
        live.start()
        live.add_people()
        yield live


@pytest.fixture(scope="package")
def certificate(tmp_path_factory):
    """A certificate that requests and websocket-client in this process trust."""
    made = Certificate.make(tmp_path_factory.mktemp("certificate"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(made.path))
        patch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(made.path))
        yield made


@pytest.fixture(scope="package", params=PROXIES, ids=PROXIES)
def proxy(request, live, certificate, tmp_path_factory):
    proxy = PROXIES[request.param](live, certificate, tmp_path_factory.mktemp("proxy"))
    try:
        proxy.start()
        yield proxy
    finally:
        proxy.stop()
