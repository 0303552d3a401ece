"""Who may still see what was rendered for them, by each session engine."""

import shutil
from importlib import import_module

import pytest
from django.conf import settings as project
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import DatabaseError, connection
from django.test import RequestFactory

from serverpush.jobs import AccessJob
from serverpush.renderer.access import check
from serverpush.renderer.sessions import ReadOnlySession, read_only
from tests.people.process import printed

pytestmark = pytest.mark.django_db

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies", "own"]
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
GONE = "g" * 32


class OwnStore(SessionBase):
    """An engine that nothing is known of: it keeps sessions in a dict."""

    rows: dict[str, dict] = {}

    def exists(self, session_key):
        return session_key in self.rows

    def create(self):
        self._session_key = self._get_new_session_key()
        self.save(must_create=True)

    def save(self, must_create=False):
        if self.session_key is None:
            self.create()
        self.rows[self.session_key] = dict(self._get_session(no_load=must_create))

    def delete(self, session_key=None):
        self.rows.pop(session_key or self.session_key, None)

    def load(self):
        try:
            return self.rows[self.session_key]
        except KeyError:
            self._session_key = None
            return {}


class BackwardsStore(DatabaseStore):
    """A child of Django's own, which reads its rows in its own way."""

    def encode(self, session_dict):
        return super().encode(session_dict)[::-1]

    def decode(self, session_data):
        return super().decode(session_data[::-1])


class ForgetfulStore(DatabaseStore):
    """A child of Django's own, to which no session of today is good."""

    def load(self):
        self._session_key = None
        return {}


class PrefixedStore(CacheStore):
    """A child of Django's own, which keeps sessions under other names."""

    @property
    def cache_key(self):
        return f"theirs:{self._get_or_create_session_key()}"


class EveryoneMay(ModelBackend):
    def user_can_authenticate(self, user):
        return True


class Directory(ModelBackend):
    """A backend with its own way to users, which may be down."""

    down_for: tuple[str, ...] = ()

    def get_user(self, user_id):
        if str(user_id) in self.down_for:
            raise ConnectionError("the directory can't be reached")
        return User.objects.filter(pk=user_id).first()


# Where a session engine's module has its store.
SessionStore = OwnStore


@pytest.fixture
def use(settings, tmp_path, monkeypatch):
    """Use an engine as a renderer does: with its store made read-only."""

    def use_engine(name, store=None):
        known = f"django.contrib.sessions.backends.{name}"
        settings.SESSION_ENGINE = __name__ if name == "own" else known
        module = import_module(settings.SESSION_ENGINE)
        monkeypatch.setattr(module, "SessionStore", read_only(store or module.SessionStore))

    settings.SESSION_FILE_PATH = str(tmp_path)
    file = import_module("django.contrib.sessions.backends.file").SessionStore
    monkeypatch.delattr(file, "_storage_path", raising=False)
    caches["default"].clear()
    OwnStore.rows.clear()
    yield use_engine
    caches["default"].clear()


@pytest.fixture(params=ENGINES)
def engine(request, use):
    use(request.param)
    return request.param


def site_store():
    """The engine's store as the site has it."""
    store = import_module(project.SESSION_ENGINE).SessionStore
    return store.__bases__[1] if issubclass(store, ReadOnlySession) else store


def new_session(user=None, *, backend=MODEL_BACKEND, **data):
    """A session as the site makes it for a user, or for nobody."""
    session = site_store()()
    if user is not None:
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = backend
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session["last"] = "shelf"
    session.update(data)
    session.save()
    return session


def key_of(user, **more):
    return new_session(user, **more).session_key


def stamps(*visits):
    result = check(AccessJob(tuple((key, str(user)) for key, user in visits)))
    assert result.error == ""
    return list(result.stamps)


def stamp(key, user):
    (found,) = stamps((key, user))
    return found


def error(*visits):
    result = check(AccessJob(tuple((key, str(user)) for key, user in visits)))
    assert result.stamps == ()
    return result.error


class TestEngines:
    def test_each_visit_has_its_answer(self, engine, ann, bob):
        anns, bobs, nobodys = key_of(ann), key_of(bob), key_of(None)
        found = stamps((anns, ann.pk), (bobs, bob.pk), (GONE, ann.pk), (nobodys, ""))
        assert found[0]
        assert found[1]
        assert found[0] != found[1]
        assert found[2:] == [None, ""]

    def test_a_session_that_was_flushed_is_over(self, engine, ann):
        session = new_session(ann)
        key = session.session_key
        assert stamp(key, ann.pk)
        session.flush()
        # A signed cookie is all there is of it, and can't be taken back.
        assert (stamp(key, ann.pk) is None) == (engine != "signed_cookies")

    def test_an_expired_session_is_over(self, engine, ann, settings):
        if engine == "own":
            pytest.skip("this engine knows no expiry")
        settings.SESSION_COOKIE_AGE = -5
        assert stamp(key_of(ann), ann.pk) is None

    def test_nothing_is_written_anywhere(self, engine, ann, tmp_path, settings):
        visits = [(key_of(ann), ann.pk), (GONE, ann.pk)]
        visits.append((key_of(ann, **{HASH_SESSION_KEY: "of another password"}), ann.pk))
        if engine != "cache":
            # A cache itself drops what has expired when it is asked for it.
            settings.SESSION_COOKIE_AGE = -5
            visits.append((key_of(ann), ann.pk))
        before = stored(tmp_path)
        stamps(*visits)
        assert stored(tmp_path) == before

    @pytest.mark.parametrize("key", ["short", "a space " * 4, "\x00" * 32, "ü" * 32, "../" * 11])
    def test_a_key_that_can_be_none_ends_alone(self, engine, ann, key):
        good = key_of(ann)
        found = stamps((key, ann.pk), (good, ann.pk))
        assert found[0] is None
        assert found[1]

    def test_no_visits_have_no_answers(self, engine):
        assert stamps() == []


def stored(folder):
    rows = list(Session.objects.order_by("pk").values())
    users = list(User.objects.order_by("pk").values())
    files = {each: each.read_bytes() for each in folder.iterdir()}
    return rows, users, files, dict(caches["default"]._cache), dict(OwnStore.rows)


class TestQueries:
    @pytest.mark.parametrize(
        ("name", "count"),
        [("db", 5), ("cached_db", 5), ("cache", 4), ("file", 4), ("signed_cookies", 4)],
    )
    def test_500_visits(self, use, name, count, settings, django_assert_num_queries):
        """One for the sessions where they are in the database, one for the users; one
        for their groups, one for their permissions, one for those of the groups."""
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "LOCATION": "500 visits",
                "OPTIONS": {"MAX_ENTRIES": 1000},
            }
        }
        use(name)
        group = Group.objects.create(name="readers")
        group.permissions.add(Permission.objects.first())
        users = User.objects.bulk_create(User(username=f"user{n}") for n in range(500))
        group.user_set.add(*users)
        visits = [(key_of(user), user.pk) for user in users]
        with django_assert_num_queries(count):
            found = stamps(*visits)
        assert len(set(found)) == 500
        assert None not in found

    def test_sessions_of_nobody_need_no_other_query(self, use, django_assert_num_queries):
        use("db")
        keys = [key_of(None) for _ in range(3)]
        with django_assert_num_queries(1):
            assert stamps(*[(key, "") for key in keys]) == [""] * 3

    def test_a_cache_is_asked_once(self, use, ann, monkeypatch):
        use("cache")
        keys = [key_of(ann) for _ in range(3)]
        get_many, asked = caches["default"].get_many, []

        def ask(names):
            asked.append(names)
            return get_many(names)

        monkeypatch.setattr(caches["default"], "get_many", ask)
        assert all(stamps(*[(key, ann.pk) for key in keys]))
        assert [len(names) for names in asked] == [3]

    def test_rows_that_are_read_in_another_way_are_read_in_that_way(self, use, ann):
        use("own", BackwardsStore)
        assert stamp(key_of(ann), ann.pk)

    def test_a_store_that_loads_in_another_way_is_left_to_it(self, use, ann):
        use("own", ForgetfulStore)
        assert stamp(key_of(ann), ann.pk) is None

    def test_a_cache_that_is_asked_in_another_way_is_left_to_it(self, use, ann):
        use("own", PrefixedStore)
        assert stamp(key_of(ann), ann.pk)


class TestUnreachable:
    def test_a_database(self, use, ann, monkeypatch):
        use("db")
        key = key_of(ann)

        def fail(*args):
            raise DatabaseError("the server closed the connection")

        with connection.execute_wrapper(fail):
            assert error((key, ann.pk)) == "DatabaseError: the server closed the connection"

    def test_a_cache(self, use, ann, monkeypatch):
        use("cache")
        key = key_of(ann)

        def fail(keys):
            raise ConnectionError("nobody listens")

        monkeypatch.setattr(caches["default"], "get_many", fail)
        assert error((key, ann.pk)) == "ConnectionError: nobody listens"

    def test_a_folder(self, use, ann, tmp_path):
        use("file")
        key = key_of(ann)
        assert stamp(key, ann.pk)
        shutil.rmtree(tmp_path)
        assert error((key, ann.pk)).startswith("FileNotFoundError")

    @pytest.mark.parametrize("name", ["user_can_authenticate", "get_session_auth_hash"])
    def test_what_the_project_says_of_a_user(self, use, ann, bob, monkeypatch, name):
        use("db")
        owner = ModelBackend if name == "user_can_authenticate" else User
        keys, own = [key_of(ann), key_of(bob)], getattr(owner, name)

        def fail(self, user=None):
            if (user or self).pk == ann.pk:
                raise ConnectionError("nobody listens")
            return own(self) if user is None else own(self, user)

        monkeypatch.setattr(owner, name, fail)
        found = check(AccessJob(((keys[0], str(ann.pk)), (keys[1], str(bob.pk)))))
        assert (found.error, found.unknown) == ("ConnectionError: nobody listens", {0})
        assert found.stamps[1]

    def test_a_user_of_the_projects_own_middleware(self, use, ann, monkeypatch):
        use("db")

        def fail(self):
            raise ConnectionError("nobody listens")

        monkeypatch.setattr(User, "get_session_auth_hash", fail)
        found = check(AccessJob((("", str(ann.pk)), ("", ""))))
        assert (found.unknown, found.stamps[1]) == ({0}, "")

    def test_a_backend_for_one_user(self, use, ann, bob, monkeypatch, settings):
        use("db")
        settings.AUTHENTICATION_BACKENDS = [MODEL_BACKEND, f"{__name__}.Directory"]
        bobs = key_of(bob)
        key = key_of(ann, backend=f"{__name__}.Directory")
        before = stamps((key, ann.pk), (bobs, bob.pk))
        monkeypatch.setattr(Directory, "down_for", [str(ann.pk)])
        found = check(AccessJob(((key, str(ann.pk)), (bobs, str(bob.pk)), (GONE, ""))))
        assert found.error == "ConnectionError: the directory can't be reached"
        assert found.unknown == {0}
        assert found.stamps[1:] == (before[1], None)


class TestUsers:
    """What ``django.contrib.auth.get_user`` decides, asked beside ours."""

    @pytest.fixture(autouse=True)
    def _engine(self, use):
        use("db")

    def agreed(self, session, user):
        """The stamp, after Django's own decision was seen to be the same."""
        key = session.session_key
        found = stamp(key, user.pk)
        request = RequestFactory().get("/")
        request.session = site_store()(key)
        assert (found is None) == isinstance(get_user(request), AnonymousUser)
        return found

    def test_the_users_session(self, ann):
        assert self.agreed(new_session(ann), ann)

    def test_a_user_who_is_not_active(self, ann):
        session = new_session(ann)
        User.objects.update(is_active=False)
        assert self.agreed(session, ann) is None

    def test_a_user_who_is_deleted(self, ann):
        session, before = new_session(ann), User(pk=ann.pk)
        ann.delete()
        assert self.agreed(session, before) is None

    def test_another_password(self, ann):
        session = new_session(ann)
        ann.set_password("another")
        ann.save()
        assert self.agreed(session, ann) is None

    def test_a_session_without_a_hash(self, ann):
        assert self.agreed(new_session(ann, **{HASH_SESSION_KEY: ""}), ann) is None

    def test_another_secret_key(self, ann, settings):
        data = dict(new_session(ann).items())
        settings.SECRET_KEY = "a new one"
        assert self.agreed(new_session(None, **data), ann) is None

    def test_a_secret_key_that_was_replaced(self, ann, settings):
        data = dict(new_session(ann).items())
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "a new one"
        assert self.agreed(new_session(None, **data), ann)

    def test_a_backend_that_is_no_longer_used(self, ann, settings):
        session = new_session(ann)
        settings.AUTHENTICATION_BACKENDS = [f"{__name__}.EveryoneMay"]
        assert self.agreed(session, ann) is None

    def test_a_backend_that_lets_everyone_in(self, ann, settings):
        settings.AUTHENTICATION_BACKENDS = [f"{__name__}.EveryoneMay"]
        session = new_session(ann, backend=f"{__name__}.EveryoneMay")
        before = self.agreed(session, ann)
        User.objects.update(is_active=False)
        assert self.agreed(session, ann) not in (None, before)

    def test_a_backend_with_its_own_way_to_users(self, ann, settings):
        settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Directory"]
        session = new_session(ann, backend=f"{__name__}.Directory")
        before = self.agreed(session, ann)
        # This one does not mind.
        User.objects.update(is_active=False)
        assert self.agreed(session, ann) not in (None, before)
        ann.delete()
        assert stamp(session.session_key, "1") is None

    @pytest.mark.parametrize("key", ["nonsense", "", None])
    def test_a_session_of_a_user_who_can_not_be(self, ann, key):
        session = new_session(ann, **{SESSION_KEY: key})
        assert stamp(session.session_key, ann.pk) is None

    def test_a_user_without_a_session(self, ann):
        before = stamp("", ann.pk)
        assert before
        ann.set_password("another")
        ann.save()
        assert stamp("", ann.pk) not in (None, before)

    def test_a_user_without_a_session_who_is_not_active_or_deleted(self, ann, bob):
        User.objects.filter(pk=bob.pk).update(is_active=False)
        User.objects.filter(pk=ann.pk).delete()
        assert stamps(("", ann.pk), ("", bob.pk), ("", "nonsense")) == [None] * 3

    def test_nobody_at_all(self):
        assert stamp("", "") == ""

    def test_a_page_that_names_no_user_ends_with_its_sessions_user(self, ann):
        session = new_session(ann)
        assert stamp(session.session_key, "") is not None
        User.objects.update(is_active=False)
        assert stamp(session.session_key, "") is None


class TestUsersOfTheProjectsOwnMiddleware:
    """A page may be for another user than its session's: only a change tells."""

    @pytest.fixture(autouse=True)
    def _engine(self, use):
        use("db")

    def test_a_session_of_nobody(self, ann):
        key = key_of(None)
        before = stamp(key, ann.pk)
        assert before
        User.objects.update(is_active=False)
        assert stamp(key, ann.pk) not in (None, before)

    def test_a_session_of_another_user(self, ann, bob):
        key = key_of(bob)
        seen = {stamp(key, ann.pk), stamp(key, bob.pk), stamp(key_of(ann), ann.pk)}
        User.objects.filter(pk=ann.pk).update(is_active=False)
        seen.add(stamp(key, ann.pk))
        assert len(seen) == 4
        assert None not in seen
        User.objects.filter(pk=bob.pk).update(is_active=False)
        assert stamp(key, ann.pk) is None

    def test_a_user_whom_the_session_loses(self, ann):
        session = new_session(ann)
        before = stamp(session.session_key, ann.pk)
        del session[SESSION_KEY]
        session.save()
        assert stamp(session.session_key, ann.pk) != before

    def test_a_user_of_another_model(self):
        assert stamp(key_of(None), "4711")


class TestStamps:
    @pytest.fixture(autouse=True)
    def _engine(self, use):
        use("db")

    @pytest.fixture
    def permissions(self):
        return list(Permission.objects.order_by("pk")[:3])

    def test_it_stays_while_nothing_changes(self, ann):
        key = key_of(ann)
        before = stamp(key, ann.pk)
        ann.first_name = "Ann"
        ann.save()
        assert stamp(key, ann.pk) == before

    @pytest.mark.parametrize("flag", ["is_staff", "is_superuser"])
    def test_a_flag(self, ann, flag):
        key = key_of(ann)
        before = stamp(key, ann.pk)
        User.objects.update(**{flag: True})
        assert stamp(key, ann.pk) not in (None, before)

    def test_each_permission_and_group_changes_it(self, ann, permissions):
        key, group = key_of(ann), Group.objects.create(name="readers")
        seen = [stamp(key, ann.pk)]
        changes = [
            lambda: ann.user_permissions.add(permissions[0]),
            lambda: ann.groups.add(group),
            lambda: group.permissions.add(permissions[1]),
            lambda: ann.user_permissions.add(permissions[2]),
        ]
        for change in changes:
            change()
            seen.append(stamp(key, ann.pk))
        assert len(set(seen)) == 5
        ann.user_permissions.remove(permissions[2])
        assert stamp(key, ann.pk) == seen[3]
        group.delete()
        assert stamp(key, ann.pk) == seen[1]

    def test_it_is_each_users_own(self, ann, bob, permissions):
        keys = [key_of(ann), key_of(bob)]
        before = stamps((keys[0], ann.pk), (keys[1], bob.pk))
        bob.user_permissions.add(*permissions)
        after = stamps((keys[0], ann.pk), (keys[1], bob.pk))
        assert after[0] == before[0]
        assert after[1] != before[1]


SESSIONS = """
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from serverpush.jobs import AccessJob
    from serverpush.renderer.access import check

    def stamp(key, user):
        (found,) = check(AccessJob(((key, user),))).stamps
        return found
"""


def test_users_of_a_projects_own():
    answers = printed(
        "settings",
        SESSIONS
        + """
    from tests.people.models import Member

    ann = Member.objects.create(name="ann")
    session = SessionStore()
    session[SESSION_KEY] = str(ann.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = ann.get_session_auth_hash()
    session.save()
    key, user = session.session_key, str(ann.pk)
    print(bool(stamp(key, user)), bool(stamp("", user)))
    Member.objects.update(password="another")
    print(stamp(key, user), bool(stamp("", user)))
    Member.objects.all().delete()
    print(stamp(key, user), stamp("", user))
    """,
    )
    assert answers == ["True", "True", "None", "True", "None", "None"]


def test_a_project_without_users():
    answers = printed(
        "nobody",
        SESSIONS
        + """
    session = SessionStore()
    session[SESSION_KEY] = "of another project"
    session.save()
    print([stamp(session.session_key, ""), stamp("g" * 32, ""), stamp("", "")])
    print(bool(stamp(session.session_key, "5")), bool(stamp("", "5")))
    """,
    )
    assert answers == ["['',", "None,", "'']", "True", "True"]
