"""The fenced blocks of a Markdown page, executed in their order; Sybil finds them and keeps a page's namespace.

A comment directly before a block says what else is to be done with it:

- ``<!-- not executed: needs a GPU -->``: it is only checked, for the reason given: Python compiles, shell parses, and
  every pacbench command and option in it exists;
- ``<!-- file: my_suite/test_it.py -->``: it is written to that file of the page's folder.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shell_commands import complaints_about_script
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

PYTHON = "python"
SHELL = "sh"
DATA = ("json", "text", "toml", "yaml")
DIRECTIVES = ("{eval-rst}", "{toctree}")
"""What Sphinx makes of a page; it executes none of them."""

LIMIT_S = 300

_MARK = re.compile(r"<!-- (?P<kind>not executed|file): +(?P<text>\S[^>]*?) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block and what the comment before it says."""

    language: str
    mark: Literal["not executed", "file"] | None
    text: str | None

    @classmethod
    def of(cls, region: Region, document: Document) -> Block:
        """The block of a region that `FencedCodeBlockLexer` has found."""
        mark = _MARK.search(document.text, 0, region.start)
        language = region.lexemes["language"].strip()
        return cls(language, mark["kind"], mark["text"]) if mark else cls(language, None, None)  # type: ignore[arg-type]


class BlockParser:
    """A parser for Sybil: every fenced block of a page, with what evaluates it.

    Args:
        folder: Where the page's shell blocks run and its files go.
        environment: Environment of its shell blocks.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)

    def __call__(self, document: Document) -> Iterator[Region]:
        for region in FencedCodeBlockLexer(language=".*")(document):
            region.parsed = region.lexemes["source"]
            region.evaluator = self._evaluator(Block.of(region, document))
            yield region

    def _evaluator(self, block: Block) -> Callable[[Example], str | None] | None:
        if block.mark == "file":
            return lambda example: self._write(str(block.text), example)
        checked = block.mark == "not executed"
        if block.language == PYTHON:
            return _compiles if checked else PythonEvaluator()
        if block.language == SHELL:
            return self._parses if checked else self._runs
        if block.language in DATA or block.language in DIRECTIVES:
            return None
        return lambda _: f"got a block of {block.language!r}, expected {', '.join((PYTHON, SHELL, *DATA, *DIRECTIVES))}"

    def _write(self, name: str, example: Example) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example.parsed, encoding="utf-8")

    def _runs(self, example: Example) -> str | None:
        done = self._bash(example.parsed, "-e")
        return None if done.returncode == 0 else f"exit code {done.returncode}\n{done.stdout}{done.stderr}"

    def _parses(self, example: Example) -> str | None:
        done = self._bash(example.parsed, "-n")
        wrong = complaints_about_script(example.parsed) + ([done.stderr] if done.returncode else [])
        return "\n".join(wrong) or None

    def _bash(self, script: str, option: str) -> subprocess.CompletedProcess[str]:
        bash = shutil.which("bash")
        assert bash is not None, "the blocks of the documentation need bash"
        return subprocess.run(
            [bash, option, "-c", script], cwd=self._folder, env=self._environment, capture_output=True, text=True,
            timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _compiles(example: Example) -> str | None:
    try:
        compile(example.parsed, example.path, "exec")
    except SyntaxError as error:
        return str(error)
    return None


def evaluate(page: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Execute the blocks of a page in their order, or check those that are marked so.

    Raises:
        SybilFailure: a block failed or names what does not exist.
    """
    document = Document.parse(str(page), BlockParser(folder, environment))
    for example in document:
        example.evaluate()
