"""Larger images than the loops of `direct_oracle` allow, against `unfold` in float64: tiles, bands, odd remainders."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pacbench.backend import Backend
from pacbench.registry import get_backend
from pacbench.running.device import device_of

from .cases import PLAIN, Case
from .comparing import assert_agrees, dtype_or_skip, require_gradients
from .samples import call, tensors

SIZES = {"33x47": (33, 47), "64x64": (64, 64), "17x129": (17, 129), "101x3": (101, 3)}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_larger_image(backend: Backend, case: Case, size: tuple[int, int]) -> None:
    """Outputs and gradients in the backend's first declared dtype."""
    _skip_the_reference(backend)
    _assert_equals_unfold(backend, replace(case, size=size, channels=5, outputs=6, guide_channels=4))


@pytest.mark.parametrize("kernel_size", [5, 7, 11])
@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_larger_window(backend: Backend, case: Case, kernel_size: int) -> None:
    """Windows of 25 to 121 taps."""
    _skip_the_reference(backend)
    _assert_equals_unfold(backend, replace(case, size=(20, 23), kernel_size=kernel_size, padding=kernel_size // 2))


@pytest.mark.parametrize("dilation", [16, 32, 64])
@pytest.mark.parametrize("operator", ["guided_pacconv2d", "mean_field_update"])
def test_dilation_of_a_crf(backend: Backend, operator: str, dilation: int) -> None:
    """Windows that reach past the image on every side, as in PAC-CRF."""
    _skip_the_reference(backend)
    case = next(case for case in PLAIN if case.operator == operator)
    geometry = {"kernel_size": 5, "padding": 2 * dilation, "dilation": dilation}
    _assert_equals_unfold(backend, replace(case, size=(40, 70), channels=4, outputs=4, batch=1, **geometry))  # type: ignore[arg-type]


def _skip_the_reference(backend: Backend) -> None:
    if type(backend) is type(get_backend("unfold")):
        pytest.skip("unfold is what the others are compared with")


def _assert_equals_unfold(backend: Backend, case: Case) -> None:
    dtype_name = backend.capabilities.dtypes[0]
    given = tensors(case, dtype_or_skip(backend, dtype_name), device_of(backend))
    exact = {name: tensor.double() for name, tensor in given.items()}
    names = require_gradients(given, backend)
    output = call(case, given, backend)[0]
    for name in names:
        exact[name].requires_grad_()
    want = call(case, exact, "unfold")[0]
    assert_agrees(output, want, backend.capabilities.tolerance(dtype_name, "forward"), f"{backend.name} {case.id}")
    if not names:
        return
    weights = torch.randn(want.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(want)
    gradients = torch.autograd.grad(output, [given[name] for name in names], weights.to(output.dtype))
    wanted = torch.autograd.grad(want, [exact[name] for name in names], weights)
    for name, gradient, expected in zip(names, gradients, wanted, strict=True):
        tolerance = backend.capabilities.tolerance(dtype_name, "backward")
        assert_agrees(gradient, expected, tolerance, f"{backend.name} {case.id} gradient to {name}")
