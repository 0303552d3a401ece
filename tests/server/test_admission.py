"""What a client must bring, and what it is told when it does not."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from unittest import mock

import pytest

from serverpush.protocol import Ending, Page, Position
from serverpush.results import AccessResult, ResolveResult
from serverpush.server.admission import URL_BURST, Admissions
from serverpush.server.core.access import Access
from serverpush.server.core.visits import Visit
from serverpush.server.transport import Handshake, Refused
from serverpush.tokens import session_hash, sign_page, token_hash, tokenize
from tests.users import saved

HEAD = Position(5, 1, "e")
PAGE = Page("/", time=12.5)


class Client:
    """A client as the transport hands it over."""

    def __init__(self, **environ):
        self.handshake = Handshake({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "site:8013"} | environ)


@pytest.fixture
def asked():
    return []


@pytest.fixture
def reports():
    return []


@pytest.fixture
def access():
    access = Access(max_age=1e12, now=0)
    access.end(Ending(users=("9",), sessions=(session_hash("over"),)), 20)
    return access


@pytest.fixture
def admit(asked, reports, access):
    def resolve(job):
        asked.append(job)
        if job.page.path == "/broken/":
            return ResolveResult(None, "no result within 10 s", has_failed=True)
        found = job.page.path != "/missing/"
        return ResolveResult(PAGE if found else None, "" if found else "there is no such page")

    admissions = Admissions(resolve, access.refuses, lambda: HEAD, reports.append, lambda: 0)
    return lambda auth, **environ: admissions.admit(Client(**environ), auth)


def refusal(admit, auth, **environ):
    with pytest.raises(Refused) as caught:
        admit(auth, **environ)
    assert caught.value.message
    return caught.value.code


def test_a_page_is_replayed_from_its_rendering(admit):
    admission = admit({"page": sign_page(PAGE)})
    assert (admission.page, admission.since) == (PAGE, 12.5)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("13.25", 13.25),
        (13, 13.0),
        (str(HEAD), HEAD),
        ("", 12.5),
        (None, 12.5),
    ],
)
def test_since_is_a_position_or_a_timestamp(admit, since, expected):
    assert admit({"page": sign_page(PAGE), "since": since}).since == expected


@pytest.mark.parametrize("since", ["garbage", "nan", "inf", -1, True, [], {}, "1-2-3"])
def test_another_since_is_refused(admit, since):
    assert refusal(admit, {"page": sign_page(PAGE), "since": since}) == "bad_token"


@pytest.mark.parametrize("auth", [{"page": None}, {"page": 1}, {"page": "x"}, {"user": "x"}])
def test_nothing_to_go_by(admit, auth):
    assert refusal(admit, auth) == "bad_token"


def test_who_is_to_subscribe_later_is_let_in(admit):
    admission = admit({})
    assert (admission.page.dependencies, admission.since) == ((), HEAD)
    assert not admission.is_named
    assert not admission.visit.is_bound


class TestOpaqueToken:
    """A user's token by a tokenizer of the project's own."""

    @pytest.fixture(autouse=True)
    def _tokenizer(self, settings):
        settings.SERVERPUSH_TOKENIZER = "project.tokens.tokenize"

    def test_nobody_knows_yet_whose_it_is(self, admit):
        visit = admit({"user": "opaque"}).visit
        assert (visit.user, visit.bearer, visit.is_bound) == ("", token_hash("opaque"), True)

    def test_the_default_tokens_are_known(self, admit):
        visit = admit({"user": tokenize(saved(7))}).visit
        assert (visit.user, visit.bearer) == ("7", "")

    @pytest.mark.parametrize("token", ["", "x" * 2001, 7, None, ["opaque"]])
    def test_what_can_be_none(self, admit, token):
        assert refusal(admit, {"user": token}) == "bad_token"

    def test_it_is_refused_once_its_connection_was_ended(self, admit, access):
        visit = admit({"user": "opaque"}).visit
        access.add("device", visit, 10)
        assert access.bind("device", "5")
        access.end(Ending(users=("5",)), 30)
        assert refusal(admit, {"user": "opaque"}) == "session_mismatch"
        assert admit({"user": "another"})
        # When a page was rendered is known.
        assert refusal(admit, {"user": "opaque", "page": sign_page(PAGE)}) == "session_mismatch"
        assert admit({"user": "opaque", "page": sign_page(replace(PAGE, time=31))})

    def test_it_is_refused_once_its_user_is_found_to_have_ended(self, admit, access):
        access.add("device", admit({"user": "opaque"}).visit, 10)
        assert not access.bind("device", "9")
        assert refusal(admit, {"user": "opaque"}) == "session_mismatch"

    def test_it_is_refused_though_it_was_away_when_its_user_ended(self, admit, access):
        access.add("device", admit({"user": "opaque"}).visit, 10)
        assert access.bind("device", "5")
        access.discard("device")
        access.end(Ending(users=("5",)), 30)
        assert refusal(admit, {"user": "opaque"}) == "session_mismatch"

    def test_it_is_not_refused_because_permissions_have_changed(self, admit, access):
        access.add("device", admit({"user": "opaque"}).visit, 10)
        assert access.bind("device", "5")
        assert access.end(Ending(changed=("5",)), 30), "it comes back"
        assert admit({"user": "opaque"})

    def test_who_is_recognized_is_looked_at_whoever_was_before(self, admit, access):
        for number in range(2):
            access.add("device", admit({"user": "opaque"}).visit, 10)
            assert access.bind("device", "5")
            access.tick(11 + number)
            look, job = access.next_job()
            assert job.visits == (("", "5"),)
            access.answer(look, AccessResult(("stamp",)), 11)
            access.discard("device")

    def test_an_ending_of_the_pages_user_is_not_the_tokens(self, admit, asked):
        page = replace(PAGE, user="9", time=50)
        found = {"url": "/x/", "user": "opaque"}
        with mock.patch(f"{__name__}.PAGE", page):
            assert admit(found).visit.user == "9"

    def test_this_outlives_the_push_server(self, admit, access):
        access.add("device", admit({"user": "opaque"}).visit, 10)
        access.bind("device", "9")
        later = Access(max_age=1e12, now=0)
        later.load(json.loads(json.dumps(access.dump())))
        assert later.refuses(admit({"user": "another"}).visit, 0) is False
        assert later.refuses(Visit(bearer=token_hash("opaque")), 0)


class TestUsersToken:
    def token(self, pk, ago=0):
        made = time.time() - ago
        with mock.patch("serverpush.tokens.time.time", return_value=made):
            return tokenize(saved(pk))

    def test_it_says_who_it_is(self, admit):
        admission = admit({"user": self.token(7)})
        assert (admission.visit.user, admission.visit.is_bound) == ("7", True)
        assert admission.since == HEAD
        assert admission.is_named

    def test_beside_a_page(self, admit):
        admission = admit({"user": self.token(7), "page": sign_page(PAGE)})
        assert (admission.visit.user, admission.page, admission.since) == ("7", PAGE, 12.5)

    def test_not_beside_anothers_page(self, admit):
        page = sign_page(replace(PAGE, user="8"))
        assert refusal(admit, {"user": self.token(7), "page": page}) == "session_mismatch"

    def test_from_before_the_users_access_ended(self, admit, ended_now):
        assert refusal(admit, {"user": self.token(7, ago=1)}) == "session_mismatch"
        assert admit({"user": self.token(7, ago=-1)})
        # The page is newer, the token is not.
        page = sign_page(replace(PAGE, time=time.time() + 1))
        auth = {"user": self.token(7, ago=1), "page": page}
        assert refusal(admit, auth) == "session_mismatch"

    @pytest.fixture
    def ended_now(self, access):
        now = time.time()
        access.end(Ending(users=("7",), at=now), now)


def test_a_tampered_token(admit):
    token = sign_page(PAGE)
    assert refusal(admit, {"page": "A" + token}) == "bad_token"


def test_an_old_token(admit, settings):
    token = sign_page(PAGE)
    settings.SERVERPUSH_TOKEN_MAX_AGE = 1e-9
    assert refusal(admit, {"page": token}) == "token_expired"


def test_a_token_made_with_another_salt(admit, settings):
    settings.SERVERPUSH_SALT = "other"
    token = sign_page(PAGE)
    settings.SERVERPUSH_SALT = "serverpush"
    assert refusal(admit, {"page": token}) == "bad_token"


def test_a_bound_page_needs_its_sessions_cookie(admit):
    token = sign_page(Page("/", session=session_hash("mine"), user="1"))
    assert admit({"page": token}, HTTP_COOKIE="a=b; sessionid=mine")
    assert refusal(admit, {"page": token}, HTTP_COOKIE="sessionid=yours") == "session_mismatch"
    assert refusal(admit, {"page": token}) == "session_mismatch"


def test_whose_access_has_ended(admit):
    token = sign_page(Page("/", session=session_hash("over")))
    assert refusal(admit, {"page": token}, HTTP_COOKIE="sessionid=over") == "session_mismatch"
    assert admit({"page": sign_page(PAGE)}, HTTP_COOKIE="sessionid=over"), "a page for everybody"
    assert refusal(admit, {"page": sign_page(Page("/", time=19, user="9"))}) == "session_mismatch"
    assert admit({"page": sign_page(Page("/", time=21, user="9"))}).visit.user == "9"
    token = sign_page(Page("/", user="1"))
    assert refusal(admit, {"page": token}, HTTP_COOKIE="sessionid=over") == "session_mismatch", (
        "it is a user's, though no session can be asked for"
    )


def test_a_url_is_resolved_for_the_handshakes_cookies_from_now_on(admit, asked):
    admission = admit({"url": "/b%C3%BCcher/", "query": "?a=%20"}, HTTP_COOKIE="sessionid=x")
    (job,) = asked
    assert (job.page.path, job.page.query) == ("/bücher/", "a=%20")
    assert job.visitor.cookie == "sessionid=x"
    assert (admission.page, admission.since) == (PAGE, HEAD)


def test_the_sites_host_is_the_origins_where_that_is_the_sites(admit, asked, settings):
    settings.ALLOWED_HOSTS = [".site.org"]
    settings.SERVERPUSH_ALLOWED_ORIGINS = ["https://elsewhere.org"]
    admit({"url": "/"}, HTTP_ORIGIN="https://www.site.org")
    admit({"url": "/"}, HTTP_ORIGIN="https://elsewhere.org")
    admit({"url": "/"})
    assert [(job.page.host, job.page.secure) for job in asked] == [
        ("www.site.org", True),
        ("site:8013", False),
        ("site:8013", False),
    ]


def test_without_an_origin_the_projects_proxy_says_whether_it_is_https(admit, asked, settings):
    admit({"url": "/"}, HTTP_X_FORWARDED_PROTO="https")
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    admit({"url": "/"}, HTTP_X_FORWARDED_PROTO="https")
    admit({"url": "/"}, HTTP_X_FORWARDED_PROTO="http")
    assert [job.page.secure for job in asked] == [False, True, False]


@pytest.mark.parametrize("debug", [True, False])
def test_what_went_wrong_is_told_to_developers_only(admit, settings, debug):
    settings.DEBUG = debug
    with pytest.raises(Refused) as caught:
        admit({"url": "/missing/"})
    assert ("there is no such page" in caught.value.message) is debug


@pytest.mark.parametrize(
    "auth",
    [
        {"url": "/missing/"},
        {"url": "here"},
        {"url": 1},
        {"url": "/", "query": 1},
        {"url": "/" * 5000},
    ],
)
def test_a_url_without_a_page(admit, auth):
    assert refusal(admit, auth) == "page_not_found"


@pytest.mark.parametrize("debug", [True, False])
def test_a_url_whose_page_could_not_be_had_may_be_tried_again(admit, reports, settings, debug):
    settings.DEBUG = debug
    with pytest.raises(Refused) as caught:
        admit({"url": "/broken/"})
    assert caught.value.code == "server_error"
    assert ("no result within 10 s" in caught.value.message) is debug
    assert reports == ["a page by url could not be had: no result within 10 s"]


def test_a_path_makes_no_line_of_its_own(asked, caplog):
    admissions = Admissions(
        lambda job: ResolveResult(None, f"{job.page.path} answers 404"),
        lambda visit, rendered: False,
        lambda: HEAD,
        report=asked.append,
        shift=lambda: 0,
    )
    caplog.set_level("INFO", "serverpush.server")
    with pytest.raises(Refused):
        admissions.admit(Client(), {"url": "/a%0aend reason=forged%1b[2J"})
    assert "forged" in caplog.text
    assert caplog.text.count("\n") == 1
    assert "\x1b" not in caplog.text


def test_one_address_does_not_keep_the_renderers_busy(admit, asked):
    for _ in range(URL_BURST):
        admit({"url": "/"})
    assert refusal(admit, {"url": "/"}) == "too_many_connections"
    assert len(asked) == URL_BURST
    assert admit({"url": "/"}, REMOTE_ADDR="127.0.0.2")
    assert admit({"page": sign_page(PAGE)}), "a page's token costs no renderer"


def test_a_proxy_on_this_machine_says_for_whom_it_asks(admit):
    def by_url(address, forwarded):
        return admit({"url": "/"}, REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR=forwarded)

    for _ in range(URL_BURST):
        by_url("127.0.0.1", "10.0.0.1")
    with pytest.raises(Refused):
        by_url("127.0.0.1", "made up, 10.0.0.1")
    assert by_url("127.0.0.1", "10.0.0.2")


def test_a_forwarded_address_that_is_none_is_not_believed(admit):
    for number in range(URL_BURST):
        admit({"url": "/"}, REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}\nx")
    with pytest.raises(Refused):
        admit({"url": "/"}, REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="unknown")


def test_nobody_else_is_believed(admit):
    for number in range(URL_BURST):
        admit({"url": "/"}, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=f"10.0.1.{number}")
    with pytest.raises(Refused):
        admit({"url": "/"}, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="10.0.2.1")


def test_a_page_by_url_has_the_times_of_the_push_servers_clock(asked):
    # That may be another's, where it follows Redis; the renderers go by the machine's.
    began = time.time() - 2
    page = Page("/news/", time=began, recorded=began + 1)
    admissions = Admissions(
        lambda job: ResolveResult(page),
        lambda visit, rendered: False,
        lambda: HEAD,
        report=asked.append,
        shift=lambda: -5000,
    )
    found = admissions.admit(Client(), {"url": "/news/"}).page
    assert (found.time, found.recorded) == (began - 5000, began + 1 - 5000)
