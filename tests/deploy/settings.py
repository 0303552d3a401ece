"""The live test site with the very settings of docs/deploy, for the host "localhost"."""

import os
from pathlib import Path

from tests.live.settings import *  # noqa: F403

_SHIPPED = Path(__file__).parents[2] / "docs" / "deploy" / "settings.py"
_FOLDER = os.environ["DEPLOY_FOLDER"]

exec(
    _SHIPPED.read_text()
    .replace("www.example.org", "localhost")
    .replace("/srv/mysite", _FOLDER)
    .replace("/var/lib/mysite", _FOLDER)
)
ROOT_URLCONF = "tests.deploy.urls"
