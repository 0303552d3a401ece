import asyncio
import functools
import inspect

import pytest
from django.contrib.auth.decorators import login_required
from django.urls import path

from serverpush import discovery
from tests.project import views

urlpatterns = [
    path("plain/", views.plain),
    path("decorated/", login_required(views.decorated)),
    path("class/", views.WithFunction.as_view()),
    path("bound/", views.bound),
]


def called(view, request, *args, **kwargs):
    result = discovery.find(view).function(request, *args, **kwargs)
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result):
    return await result


class TestFind:
    @pytest.mark.parametrize(
        ("view", "kind", "source"),
        [
            (views.plain, "plain", "plain_update"),
            (views.decorated, "decorated", "decorated_update"),
            (login_required(views.decorated), "decorated", "decorated_update"),
            (views.on_loop, "on loop", "on_loop_update"),
            (views.WithFunction.as_view(), "function", "WithFunction_update"),
            (login_required(views.WithFunction.as_view()), "function", "WithFunction_update"),
            (
                views.DecoratedWithFunction.as_view(),
                "function",
                "DecoratedWithFunction_update",
            ),
            (views.instance, "instance", "Callable__update"),
        ],
        ids=lambda value: value if isinstance(value, str) else "view",
    )
    def test_a_function_beside_the_view(self, rf, view, kind, source):
        found = discovery.find(view)
        assert found.source == f"tests.project.views.{source}"
        assert found.module is views
        assert called(view, rf.get("/"), 1, word="a") == (kind, (1,), {"word": "a"})

    @pytest.mark.parametrize("view_class", [views.WithMethod, views.Inherits, views.Decorated])
    @pytest.mark.parametrize("wrap", [lambda view: view, login_required])
    def test_a_method_sees_what_the_view_would(self, rf, view_class, wrap):
        view = wrap(view_class.as_view(chosen="mine"))
        request = rf.get("/")
        found = discovery.find(view)
        assert found.source == f"tests.project.views.{view_class.__name__}.get_updates"
        assert found.view is view_class
        assert called(view, request, 1, word="a") == (
            "method",
            request,
            (1,),
            {"word": "a"},
            "mine",
        )

    @pytest.mark.parametrize("wrap", [lambda view: view, login_required])
    def test_a_method_sees_a_partials_arguments_too(self, rf, wrap):
        view = wrap(functools.partial(views.WithMethod.as_view(), which=1))
        assert called(view, rf.get("/"), word="a")[3] == {"which": 1, "word": "a"}
        assert called(view, rf.get("/"), which=2)[3] == {"which": 2}

    def test_a_method_may_be_a_coroutine_function(self, rf):
        assert called(views.OnLoop.as_view(), rf.get("/"), word="a") == ("on loop", {"word": "a"})

    def test_a_method_comes_before_a_function(self, rf):
        assert called(views.Both.as_view(), rf.get("/")) == "method"

    @pytest.mark.parametrize("view_class", [views.WithMethod, views.Decorated])
    def test_each_request_has_its_own_view(self, rf, view_class):
        view = view_class.as_view()
        assert called(view, rf.get("/"), number=1)[3] == {"number": 1}
        assert called(view, rf.get("/"))[3] == {}

    def test_a_partials_arguments(self, rf):
        assert called(views.bound, rf.get("/")) == ("plain", (), {"number": 1})
        assert called(views.bound_twice, rf.get("/")) == ("plain", (), {"number": 2, "word": "a"})
        # As with the view itself, the URL's word is the last.
        assert called(views.bound, rf.get("/"), number=3) == ("plain", (), {"number": 3})

    def test_a_decorated_partial(self, rf):
        view = login_required(views.bound)
        assert called(view, rf.get("/")) == ("plain", (), {"number": 1})

    @pytest.mark.parametrize(
        "view", [views.without, views.not_callable, views.hidden, lambda request: None, len]
    )
    def test_none(self, view):
        assert discovery.find(view) is None

    def test_a_view_that_can_not_be_a_key_is_found_too(self):
        class Unhashable(views.Callable_):
            __hash__ = None

        assert discovery.find(Unhashable()) is None


class TestDotted:
    @pytest.mark.parametrize(
        ("function", "name"),
        [
            (views.plain, "plain"),
            (views.decorated, "decorated"),
            (views.WithMethod, "WithMethod"),
            (views.WithMethod.as_view(), "WithMethod"),
            (views.Namespace.serialize, "Namespace.serialize"),
        ],
    )
    def test_it_leads_back(self, function, name):
        target = discovery.dotted(function)
        assert target == f"tests.project.views:{name}"
        assert discovery.unwrap(discovery.resolve(target)) is discovery.unwrap(function)

    def test_a_method_of_a_class_leads_back(self):
        target = discovery.dotted(views.Namespace.of_class)
        assert discovery.resolve(target) == views.Namespace.of_class

    def test_what_runs_is_what_the_module_has_decorated(self):
        assert discovery.resolve(discovery.dotted(views.decorated)) is views.decorated
        assert discovery.resolve(discovery.dotted(discovery.unwrap(views.decorated))) is (
            views.decorated
        )

    @pytest.mark.parametrize("function", [lambda request: None, views.hidden, views.instance])
    def test_what_no_import_would_find(self, function):
        with pytest.raises(ValueError, match=r"^use a function"):
            discovery.dotted(function)

    @pytest.mark.parametrize(
        "function",
        [
            functools.partial(views.plain, number=1),
            login_required(functools.partial(views.plain, number=1)),
            views.Namespace().of_instance,
            login_required(views.Namespace().of_instance),
            views.InNamespace.of_class,
        ],
    )
    def test_what_an_import_would_find_without_its_arguments(self, function):
        with pytest.raises(ValueError, match=r"^use a function"):
            discovery.dotted(function)

    def test_a_function_that_the_module_does_not_have(self):
        def stray():
            return None

        stray.__qualname__ = "stray"
        with pytest.raises(ValueError, match="under its own name"):
            discovery.dotted(stray)

    @pytest.mark.parametrize(
        "target",
        ["no.such.module:name", "tests.project.views:nothing", "tests.project.views:plain.nothing"],
    )
    def test_nothing_is_none(self, target):
        assert discovery.resolve(target) is None


class TestViews:
    @pytest.fixture(autouse=True)
    def _urls(self, settings):
        settings.ROOT_URLCONF = "tests.test_discovery"

    @pytest.mark.parametrize(
        "view", [views.plain, views.decorated, views.WithFunction, views.WithFunction.as_view()]
    )
    def test_what_urls_lead_to_is_a_view(self, view):
        assert discovery.is_view(view, None)

    def test_others_are_not(self):
        assert not discovery.is_view(views.without, None)

    def test_the_pages_own_is(self):
        assert discovery.is_view(views.without, views.without)

    def test_other_urls_other_views(self, settings):
        settings.ROOT_URLCONF = "tests.project.urls"
        assert not discovery.is_view(views.plain, None)

    @pytest.mark.parametrize(
        ("view", "name"),
        [
            (views.with_object, "user"),
            (views.with_object_and_arguments, "book"),
            (functools.partial(views.with_object), "user"),
            (views.plain, None),
            (views.with_data_only, None),
            (views.with_required, None),
            (views.WithMethod, None),
        ],
    )
    def test_the_two_more_arguments(self, view, name):
        assert discovery.object_argument(view) == name
        assert discovery.takes_object(view) is (name is not None)
