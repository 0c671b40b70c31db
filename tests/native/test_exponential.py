"""exp(-½ d²) as the kernels compute it, over all of its range, with each instruction set."""

from __future__ import annotations

import pytest
import torch

from pacbench import functional
from pacbench.backends.native import library

pytestmark = [
    pytest.mark.usefixtures("needs_library", "needs_isa"),
    pytest.mark.parametrize("isa", library.ISAS),
    pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"]),
]


def _kernel_of_neighbours(distance: torch.Tensor, isa: str) -> torch.Tensor:
    """exp(-½ d²) for each distance: the tap to the right of every pixel (0, d)."""
    guide = torch.stack([torch.zeros_like(distance), distance], dim=1)[:, None, None, :]  # (N, 1, 1, 2)
    with library.use_isa(isa):
        kernel = functional.packernel2d(guide, kernel_size=3, padding=1, backend="native")[0]
    return kernel[:, 0, 1, 2, 0, 0]


def test_over_the_whole_range(isa: str, dtype: torch.dtype) -> None:
    distance = torch.linspace(0, 12, 20_001, dtype=dtype)
    got = _kernel_of_neighbours(distance, isa).double()
    want = (-0.5 * distance.double() ** 2).exp()
    step = torch.finfo(dtype).eps
    assert float((got - want).abs().max()) <= 1.5 * step
    # d² is rounded, which costs ½ d² steps of K; the exponential may cost as much again, and a few steps of its own
    allowed = step * (3 + distance.double() ** 2)
    assert bool(((got / want - 1).abs() <= allowed).all())


def test_ends_of_the_range(isa: str, dtype: torch.dtype) -> None:
    infinite = float("inf")
    distance = torch.tensor([0.0, 1e-30, 1e3, 1e18, infinite, float("nan")], dtype=dtype)
    got = _kernel_of_neighbours(distance, isa).tolist()
    assert got[:2] == [1.0, 1.0]
    assert got[2:5] == [0.0, 0.0, 0.0]
    assert got[5] != got[5]
