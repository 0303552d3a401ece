"""Colours for the shown source: one regular expression a language."""

import re
from functools import lru_cache

from django.utils.html import format_html, format_html_join

STRING = r"(?P<string>'[^'\n]*'|\"[^\"\n]*\"|`[^`]*`)"
NUMBER = r"(?P<number>\b\d+\b)"
NAME = r"(?P<name>\b\w+(?=\())"
TOKENS = {
    "python": re.compile(
        r"(?P<comment>\#.*)|(?P<decorator>@\w+)|"
        rf"(?:f?{STRING})|"
        r"(?P<keyword>\b(?:def|return|if|not|for|in|from|import|None|True|False)\b)|"
        rf"{NUMBER}|{NAME}"
    ),
    "javascript": re.compile(
        rf"(?P<comment>//.*)|{STRING}|"
        r"(?P<keyword>\b(?:function|const|return|if|new)\b|=>)|"
        rf"{NUMBER}|{NAME}"
    ),
}


@lru_cache(maxsize=64)
def highlight(code, language):
    """The code as HTML, its tokens in ``<span class="token-KIND">``."""
    return format_html(
        '<pre tabindex="0"><code>{}</code></pre>',
        format_html_join("", "{}", ((piece,) for piece in _pieces(code.strip("\n"), language))),
    )


def _pieces(code, language):
    end = 0
    for token in TOKENS[language].finditer(code):
        yield code[end : token.start()]
        yield format_html('<span class="token-{}">{}</span>', token.lastgroup, token.group())
        end = token.end()
    yield code[end:]
