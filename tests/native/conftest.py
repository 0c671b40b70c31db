"""The library afresh, and Python scripts in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import pacbench
from pacbench import dispatch
from pacbench.backends.native import build, library

TREE = Path(pacbench.__file__).parents[1]


@pytest.fixture
def needs_library() -> None:
    """Skips where the library is not built or does not load."""
    reasons = library.missing()
    if reasons:
        pytest.skip("; ".join(map(str, reasons)))


@pytest.fixture
def needs_isa(isa: str) -> None:
    """Skips where this processor lacks the instruction set that a test has as its parameter."""
    if library.ISAS.index(isa) > library.ISAS.index(library.load().isa):
        pytest.skip(f"this processor runs {library.load().isa} at best")


@pytest.fixture
def needs_compiler() -> None:
    """Skips where there is no C++ compiler."""
    try:
        build.find_compiler()
    except build.BuildError as error:
        pytest.skip(str(error))


@pytest.fixture
def fresh_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not looked for the library yet, and names none."""
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(library, "_current", None)
    for name in (library.ISA_VARIABLE, library.LIBRARY_VARIABLE, dispatch.ENVIRONMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., str]:
    """Runs Python source in a process of its own, which must end well; gives what it printed."""

    def run(source: str, timeout: float = 120, **variables: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(source))
        environment = {**os.environ, "PYTHONPATH": str(TREE), **variables}
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
