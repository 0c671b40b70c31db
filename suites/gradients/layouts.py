"""Memory layouts: the same values, laid out otherwise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


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
    """Channels side by side in memory, where there are four axes."""
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels_last": _channels_last,
    "strided": _strided,
    "offset": _offset,
    "cropped": _cropped,
    "transposed": _transposed,
}
"""By name: functions that lay the same values out otherwise."""
