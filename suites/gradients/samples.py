"""Tensors for a case, and the call itself."""

from __future__ import annotations

import zlib
from typing import Any

import torch
from torch import Tensor

from pacbench import functional
from pacbench.arguments import window as checked_window
from pacbench.backend import Backend
from pacbench.geometry import Window

from .cases import CONVOLUTIONS, MEAN_FIELD, TRANSPOSED, Case

Tensors = dict[str, Tensor]


def window_of(case: Case) -> Window:
    """The case's window."""
    transposed = case.transposed or case.operator in TRANSPOSED
    return checked_window(
        case.operator,
        case.kernel_size,
        case.stride,
        case.padding,
        case.output_padding,
        case.dilation,
        transposed=transposed,
    )


def tensors(case: Case, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0) -> Tensors:
    """Random tensors for a case by the names of the operator's arguments, the same for a (case, seed) everywhere.

    Numbers are drawn in float64 and rounded once, so that every dtype sees the same call.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(case.id.encode()) + seed)

    def normal(*shape: int, scale: float = 1.0, offset: float = 0.0) -> Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale + offset).to(device, dtype)

    window = window_of(case)
    output_size = window.output_size(case.size)
    made: Tensors = {}
    if case.operator == MEAN_FIELD:
        made["base"] = normal(case.batch, case.channels, *case.size)
        made["beliefs"] = normal(case.batch, case.channels, *case.size, offset=case.beliefs_offset)
    elif case.operator != "packernel2d":
        made["input"] = normal(case.batch, case.channels, *case.size)
    if case.guided:
        guide_size = output_size if window.transposed else case.size
        made["guide"] = normal(case.batch, case.guide_channels, *guide_size, scale=0.6)
        made |= _parameters(case, normal)
        if case.mask != "none":
            made["mask"] = _mask(case, generator).to(device, dtype)
    else:
        kernel_channels = case.channels if case.channel_wise else 1
        made["kernel"] = normal(case.batch, kernel_channels, *window.kernel_size, *output_size).abs()
    if case.operator in CONVOLUTIONS:
        filters = (1, 1) if case.shared_filters else (case.outputs, case.channels)
        filters = filters[::-1] if window.transposed else filters
        made["weight"] = normal(*filters, *window.kernel_size, scale=0.5)
        if case.bias:
            made["bias"] = normal(case.channels if case.shared_filters else case.outputs)
    if case.operator == MEAN_FIELD:
        filters = (1, 1) if case.shared_filters else (case.channels, case.channels)
        made["weight"] = normal(*filters, *window.kernel_size, scale=0.5)
    return made


def _parameters(case: Case, normal: Any) -> Tensors:
    made: Tensors = {}
    if case.kernel_type.startswith("inv") and case.learnt_inv and not case.kernel_type.endswith("fixed"):
        values = case.guide_channels if case.channel_wise else 1
        made["inv_alpha"] = normal(values, scale=0.1) + 0.4
        made["inv_lambda"] = normal(values, scale=0.1) + 0.9
    if case.smooth_kernel_type.startswith("full_"):
        size = int(case.smooth_kernel_type.removeprefix("full_"))
        made["smooth_kernel"] = normal(1, 1, size, size, scale=0.3)
    return made


def _mask(case: Case, generator: torch.Generator) -> Tensor:
    shape = (case.batch, 1, *case.size)
    if case.mask == "nothing":
        return torch.zeros(shape)
    if case.mask == "corner":
        mask = torch.ones(shape)
        mask[:, :, : case.size[0] - 1, : case.size[1] - 1] = 0
        return mask
    mask = torch.rand(shape, generator=generator, dtype=torch.float64)
    return mask if case.mask == "weights" else (mask > 0.4).double()


def call(case: Case, given: Tensors, backend: str | Backend) -> tuple[Tensor, ...]:
    """Make the case's call; the outputs as a tuple (a kernel or an output, and a mask where there is one)."""
    operator = getattr(functional, case.operator)
    geometry: dict[str, Any] = {"padding": case.padding, "dilation": case.dilation}
    if case.operator == MEAN_FIELD:
        geometry["message_weight"] = case.message_weight
    else:
        geometry["stride"] = case.stride
    if case.operator in {"packernel2d", "pacpool2d", "guided_pacpool2d"}:
        geometry["kernel_size"] = case.kernel_size
    if case.operator == "packernel2d":
        geometry["transposed"] = case.transposed
    if case.operator in TRANSPOSED or case.transposed:
        geometry["output_padding"] = case.output_padding
    if case.operator in (*CONVOLUTIONS, MEAN_FIELD):
        geometry["shared_filters"] = case.shared_filters
    if case.guided:
        geometry |= {
            "kernel_type": case.kernel_type,
            "smooth_kernel_type": case.smooth_kernel_type,
            "normalize_kernel": case.normalize_kernel,
        }
        if case.operator in {"packernel2d", "guided_pacpool2d"}:
            geometry["channel_wise"] = case.channel_wise
    output = operator(**given, **geometry, backend=backend)
    outputs = output if isinstance(output, tuple) else (output,)
    return tuple(tensor for tensor in outputs if tensor is not None)
