"""The operators as they are compiled: gather the taps, scale them, contract them by one matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pacbench.geometry import Pair, Window

from .taps import taps_of


@dataclass(frozen=True, slots=True)
class KernelForm:
    """What of an adapting kernel is fixed when it is compiled.

    Attributes:
        asymmetric: d uses max(f_j - f_i, 0).
        channel_wise: One kernel per guide channel.
        normalize: K is divided by its sum over the window's taps inside the image.
    """

    asymmetric: bool
    channel_wise: bool
    normalize: bool


def adapting_kernel(guide: Tensor, window: Window, form: KernelForm, output_size: Pair) -> Tensor:
    """Gaussian adapting kernel (N, 1 or G, k_h, k_w, H', W') of a guide (N, G, H, W)."""
    taps = taps_of(guide, window.over_guide, output_size)
    row, column = window.kernel_size[0] // 2, window.kernel_size[1] // 2
    difference = taps - taps[:, :, row : row + 1, column : column + 1]
    if form.asymmetric:
        difference = difference.clamp_min(0)
    distance = difference * difference
    if not form.channel_wise:
        distance = distance.sum(1, keepdim=True)
    kernel = torch.exp(-0.5 * distance)
    return _normalized(kernel, guide, window, output_size) if form.normalize else kernel


def convolved(
    input: Tensor,
    kernel: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    window: Window,
    shared_filters: bool,
    output_size: Pair,
) -> Tensor:
    """The (transposed) convolution of an input (N, C, H, W) with a kernel (N, 1, k_h, k_w, H', W')."""
    modulated = taps_of(input, window, output_size) * kernel
    if shared_filters:
        output = (modulated * weight[0, 0, :, :, None, None]).sum((2, 3))
    else:
        filters = weight.transpose(0, 1) if window.transposed else weight
        product = torch.matmul(filters.flatten(1), modulated.flatten(4).flatten(1, 3))
        output = product.view(*product.shape[:2], *output_size)
    return output if bias is None else output + bias[:, None, None]


def pooled(input: Tensor, kernel: Tensor, window: Window, output_size: Pair) -> Tensor:
    """The pooling of an input (N, C, H, W) by a kernel (N, 1 or C, k_h, k_w, H', W')."""
    return (taps_of(input, window, output_size) * kernel).sum((2, 3))


def _normalized(kernel: Tensor, guide: Tensor, window: Window, output_size: Pair) -> Tensor:
    height, width = guide.shape[2], guide.shape[3]
    if window.transposed:
        height, width = (
            (size - extra - 1 - reach + 2 * padding) // step + 1
            for size, step, padding, reach, extra in zip(
                (height, width), window.stride, window.padding, window.reach, window.output_padding, strict=True
            )
        )
    kernel = kernel * taps_of(guide.new_ones(1, 1, height, width), window, output_size)
    total = kernel.sum((2, 3), keepdim=True)
    empty = total == 0
    return (kernel / total.masked_fill(empty, 1)).masked_fill(empty, 0)
