"""Memory layouts: the same values, laid out otherwise, give the same answer."""

from __future__ import annotations

import pytest
import torch

from pacbench.backend import Backend
from pacbench.running.device import device_of

from .cases import PLAIN, Case
from .comparing import assert_agrees, dtype_or_skip, require_gradients
from .layouts import LAYOUTS
from .samples import Tensors, call, tensors


@pytest.mark.parametrize(
    ("case", "layout"),
    [
        pytest.param(
            case,
            layout,
            id=f"{case.id}-{layout}",
            marks=[pytest.mark.smoke] if f"{case.id}-{layout}" == "pacconv2d-3x3-channels_last" else [],
        )
        for case in PLAIN
        for layout in LAYOUTS
    ],
)
def test_layout(backend: Backend, case: Case, layout: str) -> None:
    """Forward and gradients of differently laid out arguments equal those of contiguous ones."""
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    _assert_same(backend, case, given, {name: LAYOUTS[layout](tensor) for name, tensor in given.items()})


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_expanded(backend: Backend, case: Case) -> None:
    """One image for a whole batch, without copies (stride 0)."""
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    batched = {"input", "guide", "kernel", "mask", "base", "beliefs"}
    given = {name: tensor[:1].repeat(2, *[1] * (tensor.dim() - 1)) if name in batched else tensor
             for name, tensor in given.items()}  # fmt: skip
    laid_out = {name: tensor[:1].expand(tensor.shape) if name in batched else tensor for name, tensor in given.items()}
    _assert_same(backend, case, given, laid_out, gradients=False)


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.id)
def test_expanded_output_gradient(backend: Backend, case: Case) -> None:
    """The gradient of a plain sum arrives as an expanded scalar."""
    given = tensors(case, dtype_or_skip(backend, backend.capabilities.dtypes[0]), device_of(backend))
    names = require_gradients(given, backend)
    if not names:
        pytest.skip(f"{backend.name} declares no gradients")
    values = [given[name] for name in names]
    expanded = torch.autograd.grad(call(case, given, backend)[0].sum(), values)
    output = call(case, given, backend)[0]
    full = torch.autograd.grad(output, values, torch.ones_like(output).contiguous())
    tolerance = backend.capabilities.tolerance(str(output.dtype).removeprefix("torch."), "backward")
    for name, one, other in zip(names, expanded, full, strict=True):
        assert_agrees(one, other.double(), tolerance, f"{case.id} gradient to {name}")


def _assert_same(backend: Backend, case: Case, given: Tensors, laid_out: Tensors, gradients: bool = True) -> None:
    for name, tensor in laid_out.items():
        assert torch.equal(tensor, given[name]), f"the layout changed {name}"
    results = []
    for arguments in (given, laid_out):
        leaves = {name: tensor.detach() for name, tensor in arguments.items()}
        names = require_gradients(leaves, backend) if gradients else []
        output = call(case, leaves, backend)[0]
        found = [output]
        if names:
            found += torch.autograd.grad(output.square().sum(), [leaves[name] for name in names])
        results.append(found)
    dtype_name = str(given[next(iter(given))].dtype).removeprefix("torch.")
    for index, (plain, other) in enumerate(zip(*results, strict=True)):
        tolerance = backend.capabilities.tolerance(dtype_name, "backward" if index else "forward")
        assert_agrees(other, plain.double(), tolerance, f"{case.id} {'gradient' if index else 'output'}")
