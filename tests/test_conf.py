import dataclasses

import pytest
from django.core.exceptions import ImproperlyConfigured

from serverpush import conf

DEFAULTS = {
    "HOST": "127.0.0.1",
    "PORT": 8013,
    "NOTIFIER_HOST": "127.0.0.1",
    "NOTIFIER_PORT": 8014,
    "URL": None,
    "GLOBALS": (),
    "MODELS": "__all__",
    "INJECT": True,
    "RENDERERS": 2,
    "RENDER_TIMEOUT": 10,
    "HISTORY_SIZE": 10000,
    "HISTORY_SECONDS": 300,
    "TOKEN_MAX_AGE": 86400,
    "SALT": "serverpush",
    "TOKENIZER": "serverpush.tokens.tokenize",
    "ALLOWED_ORIGINS": (),
    "MAX_CONNECTIONS": 10000,
    "SEND_BUFFER": 1048576,
    "STATE_FILE": None,
    "CHANNELS": (),
    "CHANNEL_PERMISSION": None,
    "BACKEND": "memory",
}


def test_the_contracts_names_and_defaults():
    found = {name: field.default for name, field in conf.names().items()}
    assert found == {f"SERVERPUSH_{name}": value for name, value in DEFAULTS.items()}


def test_each_default_is_valid_and_explained():
    assert list(conf.problems()) == []
    assert all(field.metadata["meaning"] for field in dataclasses.fields(conf.Config))


def test_a_setting_is_read_when_it_changes(settings):
    assert conf.config().port == 8013
    settings.SERVERPUSH_PORT = 9000
    assert conf.config().port == 9000


def test_it_is_read_once():
    assert conf.config() is conf.config()


def test_lists_become_tuples(settings):
    settings.SERVERPUSH_GLOBALS = ["a.b"]
    assert conf.config().globals == ("a.b",)


def test_each_wrong_value_is_named(settings):
    settings.SERVERPUSH_PORT = "8013"
    settings.SERVERPUSH_INJECT = "yes"
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.config()
    assert "SERVERPUSH_PORT = '8013' is not valid: use a port number" in str(caught.value)
    assert "SERVERPUSH_INJECT = 'yes' is not valid: use True or False" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", 5),
        ("PORT", -1),
        ("PORT", 65536),
        ("PORT", 80.0),
        ("NOTIFIER_PORT", None),
        ("URL", 5),
        ("GLOBALS", [5]),
        ("GLOBALS", None),
        ("MODELS", "all"),
        ("MODELS", None),
        ("INJECT", None),
        ("RENDERERS", True),
        ("RENDER_TIMEOUT", 0),
        ("RENDER_TIMEOUT", True),
        ("HISTORY_SIZE", -1),
        ("HISTORY_SECONDS", "300"),
        ("TOKEN_MAX_AGE", None),
        ("SALT", ""),
        ("ALLOWED_ORIGINS", "https://example.org"),
        ("MAX_CONNECTIONS", 0),
        ("SEND_BUFFER", 0.5),
        ("STATE_FILE", ""),
        ("BACKEND", None),
    ],
)
def test_wrong_values(settings, name, value):
    setattr(settings, f"SERVERPUSH_{name}", value)
    assert [found[:2] for found in conf.problems()] == [(f"SERVERPUSH_{name}", value)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", 0),
        ("URL", ""),
        ("URL", "//push.example.org"),
        ("BACKEND", "redis://host"),
        ("BACKEND", "rediss://user:pass@host:6380/2?ssl_ca_certs=/ca.pem"),
        ("BACKEND", "unix:///run/redis.sock?db=1"),
        ("URL", "https://push.example.org:444"),
        ("MODELS", ()),
        ("MODELS", ["project.Book"]),
        ("GLOBALS", {"a.b"}),
        ("RENDER_TIMEOUT", 0.5),
        ("ALLOWED_ORIGINS", ["https://example.org"]),
        ("STATE_FILE", "/tmp/state"),
    ],
)
def test_right_values(settings, name, value):
    setattr(settings, f"SERVERPUSH_{name}", value)
    assert list(conf.problems()) == []


def test_unknown_names_and_the_nearest(settings):
    settings.SERVERPUSH_PROT = 1
    settings.SERVERPUSH_QQQQQQQQQQQQQQQQQQQQ = 1
    assert dict(conf.unknown()) == {
        "SERVERPUSH_PROT": "SERVERPUSH_PORT",
        "SERVERPUSH_QQQQQQQQQQQQQQQQQQQQ": "",
    }


class TestStateFile:
    def test_a_chosen_one(self, settings, tmp_path):
        settings.SERVERPUSH_STATE_FILE = tmp_path / "state"
        assert conf.state_file(8014) == tmp_path / "state"

    def test_by_project_and_notifier_port(self, settings, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        one = conf.state_file(8014)
        assert one.parent == tmp_path / "django-serverpush"
        assert conf.state_file(8014) == one != conf.state_file(8024)
        settings.SECRET_KEY = "another"
        assert conf.state_file(8014) != one


class TestChannels:
    CHOSEN = {"news-*": {"history": 100, "seconds": 600}, "*": {"history": 5}}

    def test_the_first_pattern_that_fits(self, settings):
        settings.SERVERPUSH_CHANNELS = self.CHOSEN
        assert conf.channel("news-7") == conf.Channel(history=100, seconds=600, presence=False)
        assert conf.channel("chat") == conf.Channel(history=5, seconds=300, presence=False)

    def test_without_any(self):
        assert conf.channel("chat") == conf.Channel(history=10000, seconds=300, presence=False)

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            ([], "a dict such as"),
            ({"": {}}, "a dict such as"),
            ({"news": 100}, "a dict such as"),
            ({"news": {"history": -1}}, "for 'history' of 'news' a whole number, 0 or more"),
            ({"news": {"seconds": 0}}, "for 'seconds' of 'news' a number of seconds above 0"),
            ({"news": {"secs": 1}}, "for 'secs' of 'news' one of history, seconds, presence"),
        ],
    )
    def test_a_wrong_one_is_named(self, settings, value, named):
        settings.SERVERPUSH_CHANNELS = value
        with pytest.raises(ImproperlyConfigured) as caught:
            conf.config()
        assert named in str(caught.value)
