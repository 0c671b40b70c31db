"""What shell text asks of pacbench, looked at without running it: each command and option must exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
import typer

from pacbench import pytest_plugin
from pacbench.command_line import app

_INLINE_COMMAND = re.compile(r"`(?:[A-Z_]+=\S+ +)*pacbench ([a-z][^`]*)`")
_OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
_PLUGIN_OPTION = re.compile(r"--pacbench-[\w-]+")
_MODULE = re.compile(r"\bpython3? +-m +(pacbench[\w.]*)")
_ENDS_A_COMMAND = re.compile(r"[();<>|&]+")


def complaints_about_script(script: str) -> list[str]:
    """What is wrong with the pacbench commands, modules and pytest options that a script names."""
    calls = [_complaint_about_call(words) for words in pacbench_calls(script)]
    modules = [f"there is no module {name}" for name in _MODULE.findall(script) if find_spec(name) is None]
    return [text for text in calls if text] + modules + _complaints_about_plugin_options(script)


def complaints_about_prose(markdown: str) -> list[str]:
    """What is wrong with the commands in a page's inline code, which may leave words out but must not invent any."""
    found = [text for match in _INLINE_COMMAND.finditer(markdown) for text in _complaints_about_names(match[1].split())]
    return found + _complaints_about_plugin_options(markdown)


def pacbench_calls(script: str) -> Iterator[list[str]]:
    """The words after each `pacbench` of a script."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] | None = None
        for word in lexer:
            if _ENDS_A_COMMAND.fullmatch(word):
                if words is not None:
                    yield words
                words = None
            elif words is not None:
                words.append(word)
            elif word.rpartition("/")[2] == "pacbench":
                words = []
        if words is not None:
            yield words


@cache
def _group() -> Any:
    return typer.main.get_command(app)


def _complaint_about_call(words: list[str]) -> str | None:
    """What the command line's own parser says against `pacbench WORDS`; nothing of the command runs."""
    name = words[0] if words else ""
    if name not in _group().commands:
        return f"pacbench has no command {name!r}"
    try:
        _group().commands[name].make_context(name, words[1:])
    except Exception as error:  # what typer raises has moved between its releases, but keeps this method
        if not hasattr(error, "format_message"):
            raise
        return f"pacbench {shlex.join(words)}: {error.format_message()}"
    return None


def _complaints_about_names(words: list[str]) -> list[str]:
    name, rest = words[0], " ".join(words[1:])
    if name not in _group().commands:
        return [f"pacbench has no command {name!r}"]
    parameters = _group().commands[name].params
    known = {option for each in parameters for option in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    return [f"pacbench {name} has no option {option}" for option in _OPTION.findall(rest) if option not in known]


def _complaints_about_plugin_options(text: str) -> list[str]:
    return [f"pytest has no option {name}" for name in _PLUGIN_OPTION.findall(text) if name not in _plugin_options()]


@cache
def _plugin_options() -> frozenset[str]:
    parser = pytest.Parser(_ispytest=True)
    pytest_plugin.pytest_addoption(parser)
    options = parser.getgroup("pacbench").options
    return frozenset(name for option in options for name in option.names())
