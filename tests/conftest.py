"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _xdist_is_no_business_of_subprocesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pytest that a test starts is not a worker of the pytest that runs the test, though it inherits its variables.

    pytest-benchmark, for one, measures nothing where it believes itself in a worker.
    """
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _import_path_as_before() -> Iterator[None]:
    """The command line looks for backends in the working directory, for as long as its process lives."""
    before = list(sys.path)
    yield
    sys.path[:] = before
