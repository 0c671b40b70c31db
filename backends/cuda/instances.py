"""The one list of kernel instances: what a library holds, what NVRTC is asked for, what the shim runs.

A kernel is named by its name expression, such as ``pacbench::contract<float, 16>``.
"""

from __future__ import annotations

import torch

STORED = {
    torch.float32: "float",
    torch.float64: "double",
    torch.float16: "pacbench::float16",
    torch.bfloat16: "pacbench::bfloat16",
}
"""Stored types by the dtype of a tensor."""

PARTS = {"float32": "float", "float64": "double", "float16": "pacbench::float16", "bfloat16": "pacbench::bfloat16"}
"""The parts of a library: each holds the kernels of one stored type."""

TARGET_CHANNELS = (4, 16)
"""Target channels that a thread of a contraction computes."""

TILED_SIZES = (3, 5, 7)
"""Taps along each axis of contractions from tiles in shared memory."""

MODULATED_CHANNELS = (1, 4)
"""Channels that a thread of `modulate` computes: each with a K of its own, or several that share one."""

_OF_STORED = (
    "pack_filter",
    "channel_sums",
    "sum_partials",
    "adapting_kernel",
    "shared_kernel_gradient",
    "distance_gradient",
    "filter_gradient",
    "shared_filter_gradient",
)
_OF_STORED_AND_CHANNELS = ("contract", "kernel_gradient")
_OF_COMPUTED = ("kernel_norms", "guide_gradient", "centre_gradient")
"""Kernels that see the guide alone, which is always in the type that is computed in."""


def name(kernel: str, *arguments: str | int) -> str:
    """Name expression of an instance."""
    return f"pacbench::{kernel}<{', '.join(map(str, arguments))}>"


def of_part(part: str) -> list[str]:
    """Name expressions of the kernels of a part."""
    stored = PARTS[part]
    names = [name(kernel, stored) for kernel in _OF_STORED]
    names += [name(kernel, stored, channels) for kernel in _OF_STORED_AND_CHANNELS for channels in TARGET_CHANNELS]
    names += [name("contract_tiled", stored, size, channels) for size in TILED_SIZES for channels in TARGET_CHANNELS]
    names += [name("modulate", stored, channels) for channels in MODULATED_CHANNELS]
    if part in {"float32", "float64"}:
        names += [name(kernel, stored) for kernel in _OF_COMPUTED]
    return names


def all_of(parts: tuple[str, ...] = tuple(PARTS)) -> list[str]:
    """Name expressions of all kernels of some parts."""
    return [each for part in parts for each in of_part(part)]
