import sys

import pytest
from django.core.checks import run_checks

from serverpush.checks import CONTEXT_PROCESSOR, MIDDLEWARE


def found():
    return {each.id: each for each in run_checks(tags=["serverpush"])}


@pytest.fixture
def one(settings):
    """The one message that a change of settings leads to."""

    def check(**changed):
        assert found() == {}
        for name, value in changed.items():
            setattr(settings, name, value)
        messages = run_checks(tags=["serverpush"])
        assert len(messages) == 1, messages
        return messages[0]

    return check


def test_good_settings_say_nothing():
    assert found() == {}


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("HOST", "", "a text that is not empty"),
        ("PORT", "8013", "0 to 65535"),
        ("PORT", 70000, "0 to 65535"),
        ("PORT", True, "0 to 65535"),
        ("URL", "push.example.org", "https://push.example.org"),
        ("GLOBALS", "a.b", "a list or tuple of texts"),
        ("MODELS", "project.Book", "'__all__', or a list"),
        ("INJECT", 1, "True or False"),
        ("RENDERERS", 0, "above 0"),
        ("RENDER_TIMEOUT", "10", "a number of seconds"),
        ("HISTORY_SIZE", 1.5, "a whole number"),
        ("ALLOWED_ORIGINS", ["example.org"], "https://www.example.org"),
        ("STATE_FILE", 5, "the path of a file"),
        ("BACKEND", "disk", "'memory'"),
        ("BACKEND", "redis://", "an address such as"),
        ("BACKEND", "redis://host:port", "an address such as"),
        ("BACKEND", "redis://host/first", "an address such as"),
        ("BACKEND", "unix://", "an address such as"),
        ("BACKEND", "redis://host?socket_timeout=2", "not ['socket_timeout']"),
    ],
)
def test_e001_a_wrong_value(one, name, value, valid):
    message = one(**{f"SERVERPUSH_{name}": value})
    assert message.id == "serverpush.E001"
    assert message.msg == f"SERVERPUSH_{name} = {value!r} is not valid."
    assert valid in message.hint


def test_e001_shows_no_password(one):
    message = one(SERVERPUSH_BACKEND="redis://ada:secret@host:0/first")
    assert message.msg == "SERVERPUSH_BACKEND = 'redis://…@host:0/first' is not valid."


def test_e006_without_the_package_for_redis(one, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    message = one(SERVERPUSH_BACKEND="redis://localhost/0")
    assert message.id == "serverpush.E006"
    assert message.hint == "pip install 'django-serverpush[redis]'"


def test_w001_an_unknown_name(one):
    message = one(SERVERPUSH_NOTIFER_PORT=8014)
    assert message.id == "serverpush.W001"
    assert message.hint == "Did you mean SERVERPUSH_NOTIFIER_PORT?"


def test_w001_a_name_like_no_other_lists_them(one):
    message = one(SERVERPUSH_QQQQQQQQQQQQQQQQQQQQ=1)
    assert message.id == "serverpush.W001"
    assert "SERVERPUSH_HOST, SERVERPUSH_PORT" in message.hint


def test_w002_no_middleware(one):
    message = one(MIDDLEWARE=[])
    assert message.id == "serverpush.W002"
    assert MIDDLEWARE in message.hint


def test_w002_the_middleware_too_early(one, settings):
    message = one(MIDDLEWARE=[MIDDLEWARE, *settings.MIDDLEWARE[:-1]])
    assert message.id == "serverpush.W002"
    assert "before AuthenticationMiddleware" in message.msg


def test_w003_no_context_processor(one, settings):
    engine = {**settings.TEMPLATES[0], "OPTIONS": {"context_processors": []}}
    message = one(TEMPLATES=[engine])
    assert message.id == "serverpush.W003"
    assert CONTEXT_PROCESSOR in message.hint


def test_w003_not_without_djangos_templates(settings):
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.jinja2.Jinja2"}]
    assert found() == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "notifier.internal"])
def test_w004_a_notifier_for_others(one, host):
    message = one(SERVERPUSH_NOTIFIER_HOST=host)
    assert message.id == "serverpush.W004"
    assert "TLS or a firewall" in message.hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.5", "::1"])
def test_w004_not_on_loopback(settings, host):
    settings.SERVERPUSH_NOTIFIER_HOST = host
    assert found() == {}


def test_w005_any_host(one):
    assert one(ALLOWED_HOSTS=["*"]).id == "serverpush.W005"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tests.web.views.nothing", "ImportError"),
        ("no.such.module", "ModuleNotFoundError"),
        ("tests.web.views.BODY", "can't be called"),
    ],
)
def test_e002_a_global_that_is_no_function(one, path, reason):
    message = one(SERVERPUSH_GLOBALS=[path])
    assert message.id == "serverpush.E002"
    assert repr(path) in message.msg
    assert reason in message.msg


def test_e003_an_unknown_model(one):
    message = one(SERVERPUSH_MODELS=["project.Book", "project.Bok"])
    assert message.id == "serverpush.E003"
    assert "'project.Bok'" in message.msg
    assert "'project.Book'" in message.hint


def test_e004_one_port_twice(one):
    message = one(SERVERPUSH_PORT=8014)
    assert message.id == "serverpush.E004"
    assert "8014" in message.msg


@pytest.mark.parametrize("name", ["SERVERPUSH_TOKENIZER", "SERVERPUSH_CHANNEL_PERMISSION"])
@pytest.mark.parametrize("path", ["tests.nowhere.function", "tests.settings.SECRET_KEY"])
def test_e005_what_is_no_function(one, name, path):
    message = one(**{name: path})
    assert message.id == "serverpush.E005"
    assert message.msg.startswith(f"{name} names {path!r}")


def test_e004_not_for_any_free_port(settings):
    settings.SERVERPUSH_PORT = settings.SERVERPUSH_NOTIFIER_PORT = 0
    assert found() == {}


def test_a_wrong_value_does_not_hide_an_unknown_name(settings):
    settings.SERVERPUSH_PORT = "8013"
    settings.SERVERPUSH_PROT = 1
    assert set(found()) == {"serverpush.E001", "serverpush.W001"}
