"""Upsampling that does not look at the guide."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from .sampling import LowResolution, offset


def interpolation(mode: str) -> Callable[[LowResolution], Tensor]:
    """`torch.nn.functional.interpolate` of one mode, with align_corners=False where the mode knows it.

    It takes sample i to lie at f·i + (f - 1) / 2, which for an even f is half a pixel beyond where it was read.
    """
    corners = {} if mode == "nearest" else {"align_corners": False}

    def upsample(low: LowResolution) -> Tensor:
        height, width = low.size
        samples = F.pad(low.values, (0, 1, 0, 1), mode="replicate")  # sizes that are no multiple of f need it
        return F.interpolate(samples, scale_factor=float(low.factor), mode=mode, **corners)[:, :, :height, :width]

    return upsample


def aligned_bilinear(low: LowResolution) -> Tensor:
    """Bilinear interpolation of samples that lie where they were read, at o + f·i; constant beyond the outermost."""
    rows, columns = (
        _positions(size, samples, low)
        for size, samples in zip(low.size, (low.values.shape[2], low.values.shape[3]), strict=True)
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack([x, y], dim=-1)[None]
    return F.grid_sample(low.values, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _positions(size: int, samples: int, low: LowResolution) -> Tensor:
    """Where the pixels of one axis lie among the samples, in grid_sample's units."""
    pixels = torch.arange(size, dtype=low.values.dtype, device=low.values.device)
    return (2 * (pixels - offset(low.factor)) / low.factor + 1) / samples - 1
