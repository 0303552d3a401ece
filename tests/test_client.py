from io import StringIO

import pytest
from django.core.management import call_command
from django.template import engines

from serverpush import client
from serverpush.reporting import is_suppressed
from serverpush.tokens import notifier_key


def test_what_a_project_imports():
    assert set(client.__all__) == {
        "channel_token",
        "context_processor",
        "disconnect",
        "notify",
        "notify_all",
        "ping_notifier",
        "presence",
        "push_route",
        "route_token",
        "send_update",
        "suppress",
    }


def test_the_context_has_the_requests_time(rf):
    request = rf.get("/")
    request.serverpush_time = 1700000000.5
    assert client.context_processor(request) == {"generated_timestamp": "1700000000.500"}


def test_templates_have_it(rf):
    request = rf.get("/")
    request.serverpush_time = 1700000000.5
    template = engines["django"].from_string("{{ generated_timestamp }}")
    assert template.render({}, request) == "1700000000.500"


def test_suppress_ends_with_its_block():
    with client.suppress():
        with client.suppress():
            assert is_suppressed()
        assert is_suppressed()
    assert not is_suppressed()


def test_suppress_ends_with_an_error():
    with pytest.raises(LookupError), client.suppress():
        raise LookupError
    assert not is_suppressed()


def test_the_key_command_prints_the_key_alone():
    out = StringIO()
    call_command("serverpush_key", stdout=out)
    assert out.getvalue() == f"{notifier_key()}\n"
