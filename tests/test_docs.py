"""The docs against the code: names, links, and the pages that they let a reader type."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest
import requests

from serverpush import conf
from tests.live.clients import Client, browse
from tests.live.processes import ROOT, Process

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
CODE = sorted((ROOT / "serverpush").rglob("*.py"))

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.S | re.M
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass
class Block:
    """A fenced block and the paragraph before it."""

    language: str
    code: str
    before: str


def blocks(text):
    end = 0
    for found in FENCE.finditer(text):
        paragraph = text[end : found.start()].strip().rpartition("\n\n")[2]
        code = textwrap.dedent(found["code"])
        yield Block(found["language"], code, " ".join(paragraph.split()))
        end = found.end()


def section(text, title):
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(path):
    return path.relative_to(ROOT).as_posix()


def source(*names):
    return "\n".join((ROOT / "serverpush" / name).read_text() for name in names)


# Names


def documented_settings():
    """Name and default of each row of the table in settings.md."""
    text = (REFERENCE / "settings.md").read_text()
    rows = re.findall(r"^\| <a id=\"\w+\"></a>`(SERVERPUSH_\w+)` \| `([^`]*)` \|", text, re.M)
    assert rows
    return dict(rows)


def test_every_setting_is_documented_with_its_default():
    defaults = {name: field.default for name, field in conf.names().items()}
    told = documented_settings()
    assert {name: repr(default).replace("'", '"') for name, default in defaults.items()} == told


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_no_page_names_a_setting_that_does_not_exist(path):
    found = set(re.findall(r"\bSERVERPUSH_[A-Z_]+\b", path.read_text()))
    # That there is no SERVERPUSH_BACKENDS is an example of a check.
    assert found - set(conf.names()) <= {"SERVERPUSH_PROT"}


def test_every_check_is_documented():
    registered = set(re.findall(r'id="(serverpush\.[EW]\d+)"', source("checks.py")))
    documented = re.findall(
        r"^## (serverpush\.[EW]\d+)", (REFERENCE / "checks.md").read_text(), re.M
    )
    assert registered
    assert set(documented) == registered
    assert len(documented) == len(registered)


def test_every_refusal_is_documented():
    text = "\n".join(path.read_text() for path in CODE)
    codes = set(re.findall(r'(?:Refused|refusal)\(\s*"(\w+)"', text))
    codes |= set(re.findall(r'^    code = "(\w+)"', text, re.M))
    table = section((REFERENCE / "events.md").read_text(), "Refusals")
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert {"bad_token", "page_not_found", "session_mismatch"} <= codes
    assert codes <= documented
    assert documented - codes <= {"origin_refused"}, "documented, and nothing gives it"


def test_every_key_of_an_update_is_documented():
    from serverpush.updates import _KEYS

    text = (REFERENCE / "updates.md").read_text()
    assert set(re.findall(r"^### `(\w+)`", text, re.M)) == set(_KEYS)


def test_every_error_is_documented():
    names = re.findall(r"^class (\w+)\(", source("exceptions.py"), re.M)
    text = (REFERENCE / "errors.md").read_text()
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_option_of_runserverpush_is_documented():
    options = re.findall(r'"(--[\w-]+)"', source("management/commands/runserverpush.py"))
    text = (REFERENCE / "commands.md").read_text()
    assert options
    assert [option for option in options if f"`{option}" not in text] == []


# Code and links


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_python_blocks_compile(path):
    for block in blocks(path.read_text()):
        if block.language == "python":
            compile(block.code, named(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_templates_have_the_script_before_those_that_use_it(path):
    # Where none names it, it is put in at the end of the body.
    for block in blocks(path.read_text()):
        before, used, _ = block.code.partition('<script type="module">')
        if used and "{% load serverpush %}" in before:
            assert "{% serverpush_scripts %}" in before, block.code


def without_code(path):
    return FENCE.sub("", path.read_text())


def anchors(path):
    """The ids of a page's headings, as GitHub makes them, and its explicit ones."""
    text = without_code(path)
    found = set(re.findall(r'<a id="([^"]+)"></a>', text))
    for title in re.findall(r"^#+ (.+)$", text, re.M):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        found.add(slug)
    return found


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path):
    for link in LINK.findall(without_code(path)):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(found), f"{link}: no such heading"


def test_every_page_of_the_docs_is_in_its_table_of_contents():
    index = (DOCS / "index.md").read_text()
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index)}
    assert [named(page) for page in PAGES if DOCS in page.parents and page not in linked] == [
        "docs/index.md"
    ]


# What a reader types


class Project:
    """A new project in a folder of its own, with what a page of the docs lets one type."""

    def __init__(self, folder, text):
        self.folder = folder / "mysite"
        self.text = text
        self.processes = []
        self._run("-m", "django", "startproject", "mysite", cwd=folder)
        if "startapp tasks" in text:
            self.manage("startapp", "tasks")
        for block in blocks(text):
            self._type(block)

    def _run(self, *arguments, cwd=None):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def environ(self):
        return {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HOME": str(self.folder.parent)}

    def manage(self, *arguments):
        return self._run("manage.py", *arguments)

    def _type(self, block):
        """Do to a file what the paragraph before a block says."""
        found = re.search(r"`((?:mysite|tasks)/[\w/.]+)`", block.before)
        if block.language not in ("python", "html") or not found:
            return
        path = self.folder / found[1]
        before = re.search(r"before `(</\w+>)`", block.before)
        path.parent.mkdir(parents=True, exist_ok=True)
        if before:
            path.write_text(path.read_text().replace(before[1], block.code + before[1]))
        elif "the end of" in block.before:
            path.write_text(path.read_text() + "\n\n" + block.code)
        else:
            path.write_text(block.code)

    def start(self):
        """Start push server and site, on free ports; sets ``push_url`` and ``url``."""
        push = self._start("runserverpush", "127.0.0.1:0", "--notifier-port", "0", "--noreload")
        ready = push.wait_for(r"is ready: browsers on (http://[\d.]+:\d+)/.*:(\d+)/")
        self.push_url = ready[1]
        settings = self.folder / "mysite" / "settings.py"
        settings.write_text(f"{settings.read_text()}\nSERVERPUSH_NOTIFIER_PORT = {ready[2]}\n")
        site = self._start("runserver", "127.0.0.1:0", "--noreload")
        self.url = site.wait_for(r"development server at (http://[\d.]+:\d+)/")[1]

    def _start(self, *arguments):
        manage = str(self.folder / "manage.py")
        process = Process([sys.executable, manage, *arguments], self.environ)
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            process.stop()

    def save(self, word):
        """Run the first ``manage.py shell`` command of the text that contains a word."""
        command = next(
            line.strip()
            for block in blocks(self.text)
            for line in block.code.splitlines()
            if "manage.py shell -c" in line and word in line
        )
        self._run(*shlex.split(command)[1:])


@pytest.fixture
def typed(tmp_path):
    projects = []

    def typed(text):
        project = Project(tmp_path, text)
        projects.append(project)
        return project

    yield typed
    for project in projects:
        project.stop()


def test_the_readmes_shortest_live_page_works_as_it_stands_there(typed):
    project = typed(section((ROOT / "README.md").read_text(), "The shortest live page"))
    project.manage("migrate", "--verbosity", "0")
    project.start()
    html, record = browse(f"{project.url}/")
    assert "Hello, nobody!" in html
    client = Client(project.push_url, {"page": record["page"], "since": record["since"]})
    try:
        client.event("serverpush:ready")
        project.save("create_user('ada')")
        payload, meta = client.event("reload")
    finally:
        client.close()
    assert "Hello, ada!" in payload
    assert (meta["model"], meta["action"]) == ("auth.user", "added")


def test_the_tutorials_task_list_works_as_it_stands_there(typed):
    project = typed((DOCS / "tutorial.md").read_text())
    project.manage("makemigrations", "tasks")
    project.manage("migrate", "--verbosity", "0")
    project.start()
    session = requests.Session()
    html, record = browse(f"{project.url}/", session)
    assert "Nothing to do" in html
    assert "serverpush:reload" in html
    headers = {"Cookie": f"csrftoken={session.cookies['csrftoken']}"}
    client = Client(project.push_url, {"page": record["page"]}, headers=headers)
    try:
        client.event("serverpush:ready")
        project.save("From the shell")
        assert "☐</button> From the shell" in client.event("reload")[0]
        form = {
            "csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)[1]
        }
        session.post(f"{project.url}/1/toggle/", data=form, timeout=20).raise_for_status()
        assert "☑</button> From the shell" in client.event("reload")[0]
    finally:
        client.close()
