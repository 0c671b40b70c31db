"""Memory layouts: the same values, laid out otherwise, give the same answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pacbench.backend import Backend

from .cases import PLAIN, Case
from .comparing import assert_agrees, device_of, dtype_or_skip, require_gradients
from .samples import Tensors, call, tensors


def _strided(tensor: Tensor) -> Tensor:
    """Every second element of a larger tensor, along the last axis."""
    wide = tensor.new_full((*tensor.shape[:-1], tensor.shape[-1] * 2), float("nan"))
    wide[..., ::2] = tensor
    return wide[..., ::2]


def _offset(tensor: Tensor) -> Tensor:
    """A view that begins one element into its storage, so that no vector load is aligned."""
    flat = tensor.new_full((tensor.numel() + 1,), float("nan"))
    flat[1:] = tensor.flatten()
    return flat[1:].view(tensor.shape)


def _cropped(tensor: Tensor) -> Tensor:
    """The inside of a larger tensor."""
    large = tensor.new_full(tuple(size + 2 for size in tensor.shape), float("nan"))
    inside = large[tuple(slice(1, size + 1) for size in tensor.shape)]
    inside.copy_(tensor)
    return inside


def _transposed(tensor: Tensor) -> Tensor:
    """Axes reversed in memory."""
    order = tuple(range(tensor.dim()))[::-1]
    return tensor.permute(order).contiguous().permute(order)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels_last": _channels_last,
    "strided": _strided,
    "offset": _offset,
    "cropped": _cropped,
    "transposed": _transposed,
}


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
    batched = {"input", "guide", "kernel", "mask"}
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
