"""``{% load source %}``: the running code itself, for the pages to show."""

import inspect
from pathlib import Path

from django import template
from django.contrib.staticfiles import finders
from django.utils.module_loading import import_string

from pages.highlight import highlight

register = template.Library()


@register.simple_tag
def python_source(*paths):
    """The source of functions, by their dotted paths."""
    functions = [import_string(path) for path in " ".join(paths).split()]
    return highlight("\n".join(map(inspect.getsource, functions)), "python")


@register.simple_tag
def javascript_source(path):
    """The text of a static file."""
    return highlight(Path(finders.find(path)).read_text(encoding="utf-8"), "javascript")
