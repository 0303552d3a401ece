import re
from types import SimpleNamespace

import pytest
from django.template import TemplateSyntaxError

from serverpush.fieldmap import FieldMap


def thing(**fields):
    return SimpleNamespace(**fields)


def rendered(data, instance, request=None, more=None):
    values, missing = FieldMap(data).render(instance, request, more)
    assert missing == []
    return values


class TestValues:
    def test_they_keep_their_types(self):
        instance = thing(n=5, x=1.5, yes=True, none=None, many=[1, 2], text="<b>&")
        paths = {key: f"object.{key}" for key in vars(instance)}
        assert rendered(paths, instance) == vars(instance)

    def test_a_list_of_names(self):
        assert rendered(["a", "b"], thing(a=1, b=2, c=3)) == {"a": 1, "b": 2}

    def test_nothing(self):
        assert rendered(None, thing()) == {}

    def test_paths(self):
        instance = thing(author=thing(name="Jane", books=["Emma"]), details={"pages": 3})
        assert rendered(
            {
                "name": "object.author.name",
                "first": "object.author.books.0",
                "pages": "object.details.pages",
            },
            instance,
        ) == {"name": "Jane", "first": "Emma", "pages": 3}

    def test_a_method_is_called(self):
        assert rendered({"url": "object.url"}, thing(url=lambda: "/a/")) == {"url": "/a/"}

    def test_filters(self):
        assert rendered(
            {"price": "object.price|floatformat:2", "name": "object.name|upper|slice:':2'"},
            thing(price=1.5, name="emma"),
        ) == {"price": "1.50", "name": "EM"}

    def test_request_and_data(self):
        assert rendered(
            {"path": "request.path", "word": "data.word", "text": "'as it is'"},
            thing(),
            thing(path="/a/"),
            {"word": "w"},
        ) == {"path": "/a/", "word": "w", "text": "as it is"}

    def test_nothing_is_escaped(self):
        assert rendered({"a": "object.a|upper"}, thing(a="<b>")) == {"a": "<B>"}


class TestMissing:
    def test_it_is_named_and_the_others_go_out(self):
        values, missing = FieldMap({"a": "object.a", "b": "object.b.c"}).render(
            thing(a=1), None, None
        )
        assert values == {"a": 1, "b": None}
        assert missing == ["'b': 'object.b.c' does not exist on namespace(a=1)"]

    def test_a_missing_argument_is_named_too(self):
        values, missing = FieldMap({"a": "object.a|add:object.b"}).render(thing(a=1), None, None)
        assert values == {"a": None}
        assert len(missing) == 1

    def test_a_path_through_none_is_none(self):
        assert rendered({"a": "object.author.name"}, thing(author=None)) == {"a": None}

    def test_none_reaches_the_filters(self):
        paths = {"a": "object.author.name|default:'-'", "b": "object.author|default_if_none:'?'"}
        assert rendered(paths, thing(author=None)) == {"a": "-", "b": "?"}


class TestReadsRequest:
    @pytest.mark.parametrize(
        "path", ["request.user", "request", "object.a|default:request.user.username"]
    )
    def test_it_does(self, path):
        assert FieldMap({"a": "object.a", "b": path}).reads_request

    @pytest.mark.parametrize("path", ["object.request", "data.request", "'request'"])
    def test_it_does_not(self, path):
        assert not FieldMap({"a": path}).reads_request


class TestWrong:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (5, "use {'key': 'object.path'}"),
            ("title", "a list of field names"),
            ({"a": 5}, "use texts"),
            ({5: "object.a"}, "use texts"),
            ([5], "use texts"),
            ({"a": "title"}, "start with one of object, request, data"),
            ({"a": "object.a|default:user"}, "start with one of object, request, data"),
            ({"a": "self.a"}, "start with one of object, request, data"),
        ],
        ids=str,
    )
    def test_shapes_and_roots(self, data, said):
        with pytest.raises(ValueError, match=re.escape(said)):
            FieldMap(data)

    @pytest.mark.parametrize(
        "path", ["object.a|nothing", "object.a b", "object._hidden", "__import__('os')", ""]
    )
    def test_no_template_expression(self, path):
        with pytest.raises((TemplateSyntaxError, ValueError)):
            FieldMap({"a": path})
