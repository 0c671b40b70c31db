"""Puts this folder on the path: of the tests for their tables, and of their jobs for the package `faulty_backends`.

For the tests alone, also the folder of `made_up_runs`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)
sys.path.insert(0, FOLDER)
sys.path.insert(1, str(Path(__file__).parents[1] / "comparing"))


@pytest.fixture(scope="module", autouse=True)
def _folder_on_the_path_of_jobs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [FOLDER, os.environ.get("PYTHONPATH")])))
        yield
