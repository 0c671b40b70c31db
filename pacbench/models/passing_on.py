"""Filters at which a network for joint upsampling may start: the first channel carries the samples to the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def pass_on(layers: nn.Module) -> None:
    """Let the first output of each convolution be its first input; samples of 0 or more pass rectifiers as they are."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            middle = tuple(size // 2 for size in layer.kernel_size)
            with torch.no_grad():
                layer.weight[0] = 0
                layer.weight[0, 0, middle[0], middle[1]] = 1
            _no_offset(layer.bias)


def interpolate(weight: Tensor, bias: Tensor | None, shift: int) -> None:
    """Let the first output of a transposed convolution by 2 be its first input, linearly interpolated.

    Args:
        weight: (C, O, 5, 5).
        bias: (O), or None.
        shift: 0 puts sample i at pixel 2i, 1 at pixel 2i + 1.
    """
    line = torch.tensor([0, 0.5, 1, 0.5, 0] if shift == 0 else [0.5, 1, 0.5, 0, 0])
    with torch.no_grad():
        weight[:, 0] = 0
        weight[0, 0] = torch.outer(line, line)
    _no_offset(bias)


def _no_offset(bias: Tensor | None) -> None:
    if bias is not None:
        with torch.no_grad():
            bias[0] = 0
