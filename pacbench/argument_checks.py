"""Checks of single arguments: a number or a pair, a tensor's type, dtype, shape and device.

Each raises a ValueError (size, shape, device) or a TypeError (type, dtype) that names operator and argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from .geometry import Pair

PairLike = int | Sequence[int]

FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
SIXTEEN_BIT = (torch.float16, torch.bfloat16)


def pair(operator: str, name: str, value: PairLike, least: int) -> Pair:
    """A pair from one whole number or two, none below the least."""
    # The common cases first: the checks by abstract classes are slow.
    if type(value) is int and value >= least:
        return value, value
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int and min(value) >= least:
        return value
    values = (value, value) if isinstance(value, Integral) else tuple(value) if isinstance(value, Sequence) else None
    if values is None or not all(isinstance(item, Integral) and not isinstance(item, bool) for item in values):
        raise TypeError(f"{operator}: got {name} {value!r}, expected an int or a pair of ints")
    if len(values) != 2:
        raise ValueError(f"{operator}: got {name} {value!r}, expected an int or a pair of ints")
    if min(values) < least:
        raise ValueError(f"{operator}: got {name} {value!r}, expected at least {least}")
    return int(values[0]), int(values[1])


def expect_floating(operator: str, name: str, tensor: Tensor) -> None:
    """A tensor of a floating dtype that operators take."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{operator}: got {name} of type {type(tensor).__name__}, expected torch.Tensor")
    if tensor.dtype not in FLOATING:
        raise TypeError(
            f"{operator}: got {name} of dtype {tensor.dtype}, expected one of {', '.join(map(str, FLOATING))}"
        )


def expect_image(operator: str, name: str, tensor: Tensor) -> None:
    """A floating tensor (N, C, H, W) with at least one channel, row and column."""
    expect_floating(operator, name, tensor)
    if tensor.dim() != 4:
        raise ValueError(f"{operator}: got {name} {tuple(tensor.shape)}, expected 4 dimensions (N, C, H, W)")
    if 0 in tensor.shape[1:]:
        raise ValueError(f"{operator}: got {name} {tuple(tensor.shape)}, expected at least one channel, row and column")


def expect_tensor(operator: str, name: str, tensor: Tensor, *, like: Tensor, like_name: str) -> None:
    """A tensor of the dtype and on the device of another."""
    expect_floating(operator, name, tensor)
    if tensor.dtype != like.dtype:
        raise TypeError(f"{operator}: got {name} of dtype {tensor.dtype}, expected {like.dtype} as {like_name}")
    if tensor.device != like.device:
        raise ValueError(f"{operator}: got {name} on {tensor.device}, expected {like.device} as {like_name}")


def expect_guide_dtype(operator: str, name: str, tensor: Tensor, image: Tensor, image_name: str = "input") -> None:
    """Guide and kernel have the image's dtype, or float32 beside a 16-bit image (as under autocast)."""
    expect_floating(operator, name, tensor)
    if tensor.device != image.device:
        raise ValueError(f"{operator}: got {name} on {tensor.device}, expected {image.device} as {image_name}")
    if tensor.dtype != image.dtype and not (image.dtype in SIXTEEN_BIT and tensor.dtype == torch.float32):
        wider = " or torch.float32" if image.dtype in SIXTEEN_BIT else ""
        raise TypeError(
            f"{operator}: got {name} of dtype {tensor.dtype}, expected {image.dtype}{wider} as {image_name}"
        )
