"""Puts this folder on the path, for the package `cuda_emulated`: of the tests, and of the processes that they start.

What of `tox -e deep` was green is written down with a digest of the kernels, of what launches them and of the gate, and
not repeated until one of them changes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from pacbench import compiled
from pacbench.backends import cuda, cuda_ext, cupy
from pacbench.measuring.package_hash import sources_hash
from pacbench.suites import gradients

HERE = Path(__file__).parent
FOLDER = str(HERE)
sys.path.insert(0, FOLDER)

RESULTS = HERE.parents[1] / "reports" / "reference" / "deep" / "cuda.jsonl"


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
def green_once(request: pytest.FixtureRequest) -> Callable[..., Callable[..., None]]:
    """Skips a deep test that was green before; what it gives for a check writes down how that was green now.

    A test that is not deep is never skipped, nor written down.
    """

    def begin(check: str, **of: str) -> Callable[..., None]:
        if request.node.get_closest_marker("deep") is None:
            return lambda **found: None
        packages = [Path(package.__path__[0]) for package in (cuda, cuda_ext, cupy, compiled, gradients)]
        sources = sources_hash(*packages, HERE / "simt", HERE / "cuda_emulated")
        key = {"sources": sources, "torch": torch.__version__, "check": check, **of}
        done_before = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
        if any(key.items() <= entry.items() for entry in done_before):
            pytest.skip(f"done before: see {RESULTS.name}")

        def end(**found: object) -> None:
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            with RESULTS.open("a") as file:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                file.write(json.dumps({**key, **found, "at": at}) + "\n")

        return end

    return begin
