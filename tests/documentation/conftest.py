"""Puts this folder on the path, and gives a page of the documentation a folder and an environment of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[1] / "comparing"))

from markdown_blocks import evaluate

from pacbench import dispatch

EvaluatePage = Callable[[Path], None]


@pytest.fixture
def page_folder(tmp_path: Path) -> Path:
    """The fresh folder that a page's blocks run in."""
    folder = tmp_path / "page"
    folder.mkdir()
    return folder


@pytest.fixture
def evaluate_page(page_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EvaluatePage]:
    """Executes a page's blocks as a reader would, in a shell whose environment has pacbench installed.

    What a page installs by pip goes into a folder of its own, without a package index; what the machine has in
    pacbench's environment variables and data folder is not seen.
    """
    for name in [name for name in os.environ if name.startswith("PACBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    installed = tmp_path / "installed"
    installed.mkdir()
    for name, value in {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")])),
        "PIP_TARGET": str(installed),
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it the wrong way round: 0 is --no-build-isolation
        "XDG_DATA_HOME": str(tmp_path / "data-home"),
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(page_folder)
    monkeypatch.syspath_prepend(installed)
    monkeypatch.syspath_prepend(page_folder)
    dispatch.forget()
    yield lambda page: evaluate(page, page_folder, os.environ)
    dispatch.forget()
