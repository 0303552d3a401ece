"""Each defence is taken out once, and then its first test fails; with --full, all of them."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from serverpush.server.transport.inbound import Inbound
from tests.defences import BY_NAME, DEFENCES, LIBRARIES, PROMISES, SEVERAL, table
from tests.defences.defence import Defence
from tests.live.processes import ROOT

PAGE = ROOT / "docs" / "reference" / "defences.md"


@pytest.fixture(scope="module")
def reports(request, tmp_path_factory):
    """The folder with the reports of all defences that are asked for here."""
    folder = tmp_path_factory.mktemp("defences")
    items = [item for item in request.session.items if item.module is request.module]
    names = [item.callspec.params["name"] for item in items if hasattr(item, "callspec")]
    # All of each with --full.
    most = "99" if request.config.getoption("--full") else "1"
    command = [sys.executable, "-m", "tests.without", str(folder), most, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", BY_NAME)
def test_without_it_its_tests_fail(reports, name):
    printed = (reports / f"{name}.txt").read_text()
    cases = ElementTree.parse(reports / f"{name}.xml").getroot().findall(".//testcase")
    assert cases, printed
    for case in cases:
        # Of a test that fails itself; where a fixture or a module fails it is an error.
        assert case.find("failure") is not None, f"{case.get('name')} does not fail\n{printed}"
        assert case.find("error") is None, printed


def test_what_replaces_a_function_can_be_called_as_that_was(monkeypatch):
    def forget_an_argument():
        Inbound.__init__ = lambda self, limit: None

    # Put back after the test, whatever it is then.
    monkeypatch.setattr(Inbound, "__init__", Inbound.__init__)
    with pytest.raises(TypeError, match=r"forget-an-argument: Inbound.__init__ can't be called"):
        Defence("", "", forget_an_argument, ()).take_out()


def test_each_has_a_name_of_its_own():
    assert len(BY_NAME) == len(DEFENCES)


def test_the_docs_have_the_same_tables():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert lines == [*table(LIBRARIES), *table(PROMISES), *table(SEVERAL)]
