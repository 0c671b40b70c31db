"""What kernels are handed: dense tensors, and the dtype that is computed in."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """What tensors of a stored dtype are computed and summed in: float64, else float32."""
    return torch.float64 if dtype is torch.float64 else torch.float32


def wide(tensor: Tensor) -> Tensor:
    """The tensor in what 16-bit tensors are computed in, float32; others as they are."""
    return tensor.float() if tensor.dtype in {torch.float16, torch.bfloat16} else tensor


@overload
def dense(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor: ...
@overload
def dense(tensor: Tensor | None, dtype: torch.dtype | None = None) -> Tensor | None: ...
def dense(tensor: Tensor | None, dtype: torch.dtype | None = None) -> Tensor | None:
    """The tensor with dense memory, in that dtype or its own; itself where it is so already."""
    if tensor is None or ((dtype is None or tensor.dtype is dtype) and tensor.is_contiguous()):
        return tensor
    return tensor.to(dtype or tensor.dtype).contiguous()


def empty_mask(like: Tensor, mask: Tensor | None, output_shape: tuple[int, ...]) -> Tensor:
    """Memory for the output mask (bool, N, 1, H', W'); without a mask the empty tensor that an op returns for none."""
    shape = (0,) if mask is None else (output_shape[0], 1, *output_shape[-2:])
    return like.new_empty(shape, dtype=torch.bool)
