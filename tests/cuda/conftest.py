"""Puts this folder on the path, for the package `cuda_emulated`: of the tests, and of the processes that they start."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacbench import compiled
from pacbench.backends import cuda, cuda_ext, cupy
from pacbench.suites import gradients

HERE = Path(__file__).parent
FOLDER = str(HERE)
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


@pytest.fixture
def green_once(green_once: Callable[..., Callable[..., None]]) -> Callable[..., Callable[..., None]]:
    """That of all tests, by the kernels, what launches them and the gate."""
    packages = [Path(package.__path__[0]) for package in (cuda, cuda_ext, cupy, compiled, gradients)]
    return lambda check, **of: green_once("cuda", [*packages, HERE / "simt", HERE / "cuda_emulated"], check=check, **of)
