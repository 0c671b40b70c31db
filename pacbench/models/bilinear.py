"""Bilinear interpolation as the starting value of a transposed convolution (Long et al., CVPR 2015, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def bilinear_filter(size: int) -> Tensor:
    """The filter (size, size) with which a transposed convolution of stride ⌈size / 2⌉ interpolates linearly."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - (torch.arange(size, dtype=torch.float64) - centre).abs() / factor
    return torch.outer(line, line).to(torch.get_default_dtype())


@torch.no_grad()
def fill_bilinear(layer: nn.ConvTranspose2d) -> None:
    """Make a layer interpolate each channel by itself.

    Raises:
        ValueError: the window is not square, or there are not as many output as input channels.
    """
    height, width = layer.kernel_size
    if height != width or layer.in_channels != layer.out_channels:
        raise ValueError(
            f"fill_bilinear: got kernel_size {layer.kernel_size} and {layer.in_channels} to {layer.out_channels} "
            "channels, expected a square window and as many channels out as in"
        )
    line = bilinear_filter(height).to(layer.weight)
    layer.weight.zero_()
    channels = torch.arange(layer.in_channels)
    layer.weight[channels, 0 if layer.groups > 1 else channels] = line
