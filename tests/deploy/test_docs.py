"""The pages on deploying and on security: the files as they are, and tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.live.processes import ROOT
from tests.test_docs import LINK, blocks, section

from .proxies import SHIPPED

DEPLOY = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
SECURITY = (ROOT / "docs" / "explanation" / "security.md").read_text()
FILES = sorted(path.name for path in SHIPPED.iterdir())
SHOWN = ["Caddyfile", "mysite-serverpush.service", "nginx.conf", "settings.py"]

# Each attempt of the guarantees' table "Who may attack, and what answers", and two on messages.
ATTEMPTS = 12
TABLE = section(SECURITY, "What is tried, and what answers")
ROWS = [line for line in TABLE.splitlines() if line.startswith("|")][2:]
NAMED = re.findall(r"`([\w/.]+)::([^`]+)`", TABLE)


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_a_file_as_it_is(name):
    assert (SHIPPED / name).read_text() in [block.code for block in blocks(DEPLOY)]


@pytest.mark.parametrize("name", FILES)
def test_the_page_leads_to_each_file(name):
    assert f"../deploy/{name}" in LINK.findall(DEPLOY)


def test_each_attempt_has_a_test():
    assert len(ROWS) == ATTEMPTS
    for row in ROWS:
        assert "::" in row.split("|")[3], row


@pytest.mark.parametrize(("path", "name"), NAMED, ids="::".join)
def test_a_test_that_is_named_exists(path, name):
    text = (ROOT / path).read_text()
    written = rf"^ *def {name}\(" if path.endswith(".py") else rf'^ *test\("{name}"'
    assert re.search(written, text, re.MULTILINE), f"there is no {name} in {path}"
