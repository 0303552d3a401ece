"""Each line of the migration pages' tables: what it says to write here can be written."""

from __future__ import annotations

import json
import re
import shlex
import sys
from types import ModuleType
from unittest import mock

import pytest
from django.conf import global_settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import load_command_class
from django.template import Context, Template
from django.utils import timezone
from django.utils.module_loading import import_string

from serverpush import conf
from serverpush.web import messages
from serverpush.web.outbox import outbox
from tests.live.processes import ROOT
from tests.migrating import docs
from tests.project.models import Article

LINES = [(system, there) for system in docs.SYSTEMS for there in docs.lines(system)]


@pytest.mark.parametrize(("system", "there"), LINES)
def test_a_line(system, there, check):
    here = docs.lines(system)[there]
    same = here == "the same" or here.startswith("the same,")
    snippets = [*(docs.code(there) if same else []), *docs.code(here)]
    assert snippets or here.startswith("nothing"), "it says nothing"
    for snippet in snippets:
        check(system, snippet)


@pytest.fixture
def check(rf, db):
    request = rf.get("/")
    request.user = AnonymousUser()
    user = User.objects.create(username="ada")
    names = {"user": user, "token": "x", "channel_id": "id", "data": {"type": "answer"}}
    exec("from serverpush.client import *", names)

    def check(system, code):
        for shape, does in SHAPES:
            if re.match(shape, code):
                does(code, system=system, names=names, request=request)
                return
        raise AssertionError(f"no way is known to test {code!r}")

    return check


def install(code, **rest):
    name = re.search(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert code == f"pip install /path/to/{name}"


def command(code, **rest):
    _, script, name, *options = shlex.split(code)
    parser = load_command_class("serverpush", name).create_parser(script, name)
    parser.parse_args(options)


def assignment(code, **rest):
    name, _, value = code.partition(" = ")
    field = conf.names()[name]
    module = ModuleType("path.to.my")
    module.func = lambda user: "token"
    value = "salt" if value == '"…"' else eval(value)
    assert field.metadata["validator"](value) is None
    if name == "SERVERPUSH_TOKENIZER":
        with mock.patch.dict(sys.modules, {"path": module, "path.to": module, value[:-5]: module}):
            assert import_string(value)("ada") == "token"


def setting(code, **rest):
    assert code in conf.names()


def django_setting(code, **rest):
    assert hasattr(global_settings, code)


def dotted(code, **rest):
    name = code.strip('"')
    assert import_string(name) if "." in name else __import__(name)


def statement(code, names, **rest):
    exec(code, names)


def date(code, names, **rest):
    sent = []
    with (
        timezone.override("Asia/Kathmandu"),
        mock.patch.object(outbox, "put", sent.append),
        mock.patch.object(messages, "after_commit", lambda put, using: put()),
    ):
        exec(code, names)
        at = timezone.localtime(names["user"].date_joined)
    [arrived] = json.loads(sent[0].data).values()
    assert arrived == at.isoformat(timespec="milliseconds")
    assert arrived.endswith("+05:45")


def template(code, system, request, **rest):
    source = code if code.startswith("{% load") else f"{{% load serverpush %}}{code}"
    Template(source).render(Context({"request": request, "book": Article(pk=1)}))
    tag = re.search(r"{% (\w+)", code)[0]
    assert any(tag in block for block in docs.blocks(system, "html")), "not run in Chromium"


def javascript(code, system, **rest):
    call = re.match(r"serverpush\.\w+\(", code)[0]
    assert any(call in block for block in docs.blocks(system, "html")), "not run in Chromium"
    if "{%" in code:
        source = "{% load serverpush %}" + re.search(r"{%.*%}", code)[0]
        template(source.removeprefix("{% load serverpush %}"), system, **rest)


def method(code, **rest):
    assert hasattr(Article, code.partition("(")[0])


def signature(code, system, **rest):
    assert any(f"{code}:" in block for block in docs.blocks(system, "python"))


def route(code, **rest):
    verb, path = code.split()
    assert f'"{path}": ("{verb}"' in (ROOT / "serverpush" / "server" / "notifier.py").read_text()


SHAPES = [
    (r"pip install ", install),
    (r"python manage\.py ", command),
    (r"SERVERPUSH_\w+ = ", assignment),
    (r"SERVERPUSH_\w+$", setting),
    (r"[A-Z_]+$", django_setting),
    (r'"serverpush', dotted),
    (r"from serverpush", statement),
    (r"{%", template),
    (r"serverpush\.", javascript),
    (r"notify_all\({\"at\":", date),
    (r"(notify|notify_all|send_update)\(", statement),
    (r"get_api\w*\(", method),
    (r"\(sender", signature),
    (r"POST ", route),
]
