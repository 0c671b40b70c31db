"""The centre of each window: where the adapting kernel compares the taps with."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from .columns import padded
from .geometry import Window


def centres(guide: Tensor, window: Window, smooth_kernel: Tensor | None) -> Tensor:
    """f_i at each window's centre, (N, G, H', W'), of a guide (N, G, H, W): the guide there, or the guide smoothed.

    Args:
        guide: Adapting features.
        window: As it moves over the guide (`Window.over_guide`).
        smooth_kernel: (1, 1, s_h, s_w), odd, or None; the guide is zero padded.
    """
    n, g, h, w = guide.shape
    smooth_kernel = guide.new_ones(1, 1, 1, 1) if smooth_kernel is None else smooth_kernel
    half_h, half_w = smooth_kernel.shape[2] // 2, smooth_kernel.shape[3] // 2
    (reach_h, reach_w), (height, width) = window.reach, window.output_size((h, w))
    # Pixel (y, x) of the output has its centre at y·stride + reach/2 - padding; negative pads crop.
    top, left = half_h + window.padding[0] - reach_h // 2, half_w + window.padding[1] - reach_w // 2
    bottom = (height - 1) * window.stride[0] + 2 * half_h + 1 - h - top
    right = (width - 1) * window.stride[1] + 2 * half_w + 1 - w - left
    around = padded(guide.reshape(n * g, 1, h, w), (left, right, top, bottom))
    if smooth_kernel.numel() == 1:
        smoothed = around[:, :, :: window.stride[0], :: window.stride[1]] * smooth_kernel
    else:
        smoothed = F.conv2d(around, smooth_kernel, stride=window.stride)
    return smoothed.view(n, g, height, width)
