"""Puts this folder on the path, for the package `cuda_emulated`: of the tests, and of the processes that they start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = str(Path(__file__).parent)
sys.path.insert(0, FOLDER)


@pytest.fixture(scope="module", autouse=True)
def _folder_on_the_path_of_processes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [FOLDER, os.environ.get("PYTHONPATH")])))
        yield


@pytest.fixture(scope="session")
def emulated_library() -> Path:
    """The library of all kernels on the shim; a skip where there is no C++ compiler."""
    from cuda_emulated import building

    from pacbench.backends.native.build import BuildError, find_compiler

    try:
        find_compiler()
    except BuildError as error:
        pytest.skip(str(error))
    return building.library()
