"""A view of every kind that an update function can stand beside."""

import functools

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.generic import TemplateView


def sealed(view):
    """A decorator that hides what it wraps."""

    def inner(request, *args, **kwargs):
        return view(request, *args, **kwargs)

    return inner


def plain(request, number=None):
    return HttpResponse("plain")


def plain_update(request, *args, **kwargs):
    return ("plain", args, kwargs)


@never_cache
@require_safe
def decorated(request):
    return HttpResponse("decorated")


def decorated_update(request, *args, **kwargs):
    return ("decorated", args, kwargs)


@sealed
def hidden(request):
    return HttpResponse("hidden")


def hidden_update(request):
    return "never found"


async def on_loop(request):
    return HttpResponse("on loop")


async def on_loop_update(request, *args, **kwargs):
    return ("on loop", args, kwargs)


def without(request):
    return HttpResponse("without")


def not_callable(request):
    return HttpResponse("not callable")


not_callable_update = "text"

bound = functools.partial(plain, number=1)
bound_twice = functools.partial(functools.partial(never_cache(plain), number=1, word="a"), number=2)


class WithMethod(TemplateView):
    template_name = "none.html"
    chosen = "default"

    def get_updates(self):
        return ("method", self.request, self.args, self.kwargs, self.chosen)


class Inherits(WithMethod):
    """Gets the method from its parent."""


@method_decorator(never_cache, name="dispatch")
class Decorated(WithMethod):
    """Its dispatch is wrapped."""


class OnLoop(View):
    async def get(self, request):
        return HttpResponse("on loop")

    async def get_updates(self):
        return ("on loop", self.kwargs)


class WithFunction(View):
    def get(self, request, *args, **kwargs):
        return HttpResponse("with function")


# What the contract calls for: the class's own name, and "_update".
def WithFunction_update(request, *args, **kwargs):
    return ("function", args, kwargs)


@method_decorator([never_cache, require_safe], name="dispatch")
class DecoratedWithFunction(View):
    """As one that the decorators of a project would leave."""


def DecoratedWithFunction_update(request, *args, **kwargs):
    return ("function", args, kwargs)


class Both(View):
    def get_updates(self):
        return "method"


def Both_update(request):
    return "function"


class Callable_:
    """A view that is an instance, as Django's feeds are."""

    def __call__(self, request):
        return HttpResponse("instance")


def Callable__update(request, *args, **kwargs):
    return ("instance", args, kwargs)


instance = Callable_()


def with_object(request, user=None, data=None):
    return HttpResponse("with object")


def with_object_and_arguments(request, number, book=None, data=None):
    return HttpResponse("with object")


def with_data_only(request, data=None):
    return HttpResponse("with data")


def with_required(request, number, data):
    return HttpResponse("required by the URL")


class Namespace:
    @staticmethod
    def serialize(request, instance, data):
        return None

    @classmethod
    def of_class(cls, request, instance, data):
        return None

    def of_instance(self, request, instance, data):
        return None


class InNamespace(Namespace):
    """Its methods go by its parent's name."""
