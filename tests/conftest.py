"""What all tests share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

BuiltOnce = Callable[[str, Callable[[Path], object]], Path]


def pytest_configure() -> None:
    """What a shell puts in the background ignores Ctrl-C, and so would every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _xdist_is_no_business_of_subprocesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pytest that a test starts is not a worker of the pytest that runs the test, though it inherits its variables.

    pytest-benchmark, for one, measures nothing where it believes itself in a worker.
    """
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def built_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BuiltOnce:
    """Gives the folder of a name, filled by a function that is given it: once in a run, though workers share the run.

    The first process of pytest-xdist that asks fills it, and the others wait. What raises is tried anew by the next.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "built-once"
    folder.mkdir(exist_ok=True)

    def built(name: str, fill: Callable[[Path], object]) -> Path:
        finished, filling = folder / name, folder / f"{name}.filling"
        with FileLock(folder / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(filling, ignore_errors=True)
                filling.mkdir()
                fill(filling)
                filling.rename(finished)
        return finished

    return built


@pytest.fixture(autouse=True)
def _import_path_as_before() -> Iterator[None]:
    """The command line looks for backends in the working directory, for as long as its process lives."""
    before = list(sys.path)
    yield
    sys.path[:] = before
