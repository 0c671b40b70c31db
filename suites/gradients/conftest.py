"""What every module of the gate shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pacbench.backend import Backend
from pacbench.errors import NotSupportedError

from .cases import Case


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is part of the gate."""
    for item in items:
        if item.path.parent.samefile(__file__[: -len("/conftest.py")]):
            item.add_marker(pytest.mark.gate)


@pytest.fixture(autouse=True)
def _describe_case(request: pytest.FixtureRequest) -> None:
    """Write the operator of a case into its record."""
    case = request.node.callspec.params.get("case") if hasattr(request.node, "callspec") else None
    if isinstance(case, Case):
        request.getfixturevalue("record").describe(operator=case.operator)


@pytest.fixture(autouse=True)
def _small_tensors_need_one_thread() -> Iterator[None]:
    """Images of a few dozen pixels run faster on one thread than on many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A call outside a backend's declared capabilities is a skip with its reasons; any other error is a failure.

    So is a backend that refuses, when it is called, what it declares.
    """
    try:
        return (yield)
    except NotSupportedError as error:
        backend = pyfuncitem.funcargs.get("backend")
        if isinstance(backend, Backend) and pyfuncitem.get_closest_marker("expects_not_supported") is None:
            first, *others = str(error).splitlines()
            own = next((line.strip() for line in others if line.startswith(f"  {backend.name}: ")), None)
            if own is not None and first.endswith(f" is not supported by backend {backend.name}:"):
                pytest.skip(f"not supported by {own}")
        raise
