"""Saying whether two tensors agree, and if not, where and by how much."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pacbench.backend import Backend

from .samples import Tensors

DTYPES = ("float64", "float32", "float16", "bfloat16")


def assert_agrees(actual: Tensor, expected: Tensor | NDArray[np.float64], tolerance: float, what: str) -> None:
    """Assert that two tensors have the same shape, the same non-finite values, and nearly the same finite ones.

    Args:
        actual: What a backend gave, any dtype.
        expected: What is right, in float64.
        tolerance: Largest error allowed, relative to the largest finite value expected.
        what: Whose tensor it is, for the message.
    """
    got = actual.detach().double().cpu()
    want = torch.as_tensor(expected).detach().double().cpu()
    assert got.shape == want.shape, f"{what}: got shape {tuple(got.shape)}, expected {tuple(want.shape)}"
    finite = torch.isfinite(want)
    same = torch.where(finite, torch.isfinite(got), (got == want) | (got.isnan() & want.isnan()))
    if not bool(same.all()):
        at = tuple(torch.nonzero(~same)[0].tolist())
        raise AssertionError(
            f"{what}: got {got[at].item()} at {at}, expected {want[at].item()} ({int((~same).sum())} such values)"
        )
    error = torch.where(finite, (got - want).abs(), 0)
    if error.numel() == 0:
        return
    scale = float(torch.where(finite, want.abs(), 0).max())
    worst = int(error.argmax())
    relative = float(error.flatten()[worst]) / max(scale, 1e-30)
    at = tuple(int(index) for index in np.unravel_index(worst, want.shape))
    assert relative <= tolerance, (
        f"{what}: got {got[at].item():.9g} at {at}, expected {want[at].item():.9g}: error {relative:.2e} of the "
        f"largest value, expected at most {tolerance:.0e}"
    )


@contextlib.contextmanager
def poisoned_allocations() -> Iterator[None]:
    """Fill whatever torch allocates without writing it with NaN, so that an output left unwritten is seen.

    torch does so in its deterministic mode (`torch.utils.deterministic.fill_uninitialized_memory`), in C++ too.
    """
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


def dtype_or_skip(backend: Backend, name: str) -> torch.dtype:
    """The dtype of that name; a skip where the backend does not declare it, which is its right."""
    declared = backend.capabilities.dtypes
    if name not in declared:
        pytest.skip(f"{backend.name} declares {', '.join(declared)}, not {name}")
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def require_gradients(given: Tensors, backend: Backend) -> list[str]:
    """Ask for gradients of every argument that the backend differentiates; their names."""
    names = [name for name in given if backend.capabilities.differentiates(name)]
    for name in names:
        given[name].requires_grad_()
    return names
