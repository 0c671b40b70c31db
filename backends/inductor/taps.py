"""Taps of a window as shifted slices: what torch.compile fuses, and differentiates without scattered writes."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from pacbench.columns import padded
from pacbench.geometry import Pair, Window


def taps_of(image: Tensor, window: Window, output_size: Pair) -> Tensor:
    """Taps (N, C, k_h, k_w, H', W') of an image (N, C, H, W); taps in the padding are 0.

    The output's size is given, not computed, so that the compiler has a symbol for it and no term to reason about.
    Rows are gathered before columns: k_h + k_w slices rather than k_h · k_w, which keeps the graph that is compiled
    small for large windows.
    """
    height, width = output_size
    if window.transposed:
        left, right, top, bottom = window.zero_insertion_padding
        image = spread(image, window.stride)
        step = (1, 1)
    else:
        top, left = bottom, right = window.padding
        step = window.stride
    image = padded(image, (left, right, top, bottom))
    rows = [_shifted(image, 2, tap * window.dilation[0], step[0], height) for tap in range(window.kernel_size[0])]
    by_row = torch.stack(rows, 2)
    columns = [_shifted(by_row, 4, tap * window.dilation[1], step[1], width) for tap in range(window.kernel_size[1])]
    return torch.stack(columns, 3)


def spread(image: Tensor, stride: Pair) -> Tensor:
    """The image with stride - 1 zeros between its pixels, (N, C, (H - 1)·s + 1, (W - 1)·s + 1), without a write."""
    if stride == (1, 1):
        return image
    height, width = ((size - 1) * step + 1 for size, step in zip(image.shape[2:], stride, strict=True))
    cells = F.pad(image[:, :, :, None, :, None], (0, stride[1] - 1, 0, 0, 0, stride[0] - 1))
    return cells.flatten(4, 5).flatten(2, 3)[:, :, :height, :width]


def _shifted(image: Tensor, axis: int, start: int, step: int, size: int) -> Tensor:
    index: list[slice] = [slice(None)] * image.dim()
    index[axis] = slice(start, start + (size - 1) * step + 1, step)
    return image[tuple(index)]
