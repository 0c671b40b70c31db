"""Gathering the taps of a window: the k² copies of an image that the reference multiplies with."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from .geometry import Window


def columns(image: Tensor, window: Window) -> Tensor:
    """Taps (N, C, k_h, k_w, H', W') of an image (N, C, H, W); taps in the padding are 0."""
    if window.transposed:
        image = padded(insert_zeros(image, window.stride), window.zero_insertion_padding)
        window = Window(window.kernel_size, dilation=window.dilation)
    taps = F.unfold(image, window.kernel_size, window.dilation, window.padding, window.stride)
    height, width = window.output_size((image.shape[2], image.shape[3]))
    return taps.view(*image.shape[:2], *window.kernel_size, height, width)


def padded(image: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """The image (N, C, H, W) with that many zeros to the left, right, top and bottom; negative ones crop it.

    Unlike `F.pad`, which crops first, it may crop more than the image has on one side where the other side adds to it.
    """
    left, right, top, bottom = padding
    image = F.pad(image, [max(side, 0) for side in padding])
    for axis, before, after in ((2, top, bottom), (3, left, right)):
        if before < 0 or after < 0:
            start = max(-before, 0)
            image = image.narrow(axis, start, image.shape[axis] - start - max(-after, 0))
    return image


def insert_zeros(image: Tensor, stride: tuple[int, int]) -> Tensor:
    """The image with stride - 1 zeros between its pixels, (N, C, (H - 1)·s + 1, (W - 1)·s + 1)."""
    if stride == (1, 1):
        return image
    n, c, h, w = image.shape
    spread = image.new_zeros(n, c, (h - 1) * stride[0] + 1, (w - 1) * stride[1] + 1)
    spread[:, :, :: stride[0], :: stride[1]] = image
    return spread
