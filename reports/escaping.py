"""Text from outside (names, reasons, paths) made safe for each place where it is shown.

A backend, a data folder or a failure message may hold anything: markup, terminal codes, formulas. HTML is
escaped by Jinja2's autoescape; what Jinja2 does not know of is here.
"""

from __future__ import annotations

import html
import json
import re

_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """Without terminal codes, control and direction characters; lines and tabs stay."""
    text = _TERMINAL_CODES.sub("", text.replace("\r\n", "\n"))
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", text))


def one_line(text: str, limit: int | None = None) -> str:
    """As :func:`plain`, on one line, cut at `limit` characters (the cut is shown)."""
    line = " ".join(plain(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def for_markdown(text: str) -> str:
    """One line of Markdown that reads as the text itself: no markup, no HTML, no table separator."""
    return _MARKDOWN.sub(r"\\\1", html.escape(one_line(text), quote=False))


def for_csv(text: str) -> str:
    """Text that a spreadsheet takes as text: what could be a formula gets an apostrophe before it."""
    text = plain(text)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def for_plotly(text: str) -> str:
    """Text for a plotly label: plotly reads a little HTML in labels, so markup is escaped."""
    return html.escape(one_line(text), quote=False)


def json_for_script(value: object) -> str:
    """JSON that can stand inside a ``<script>`` element: no character of it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
