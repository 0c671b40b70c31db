"""The protocol: where the low-resolution samples lie, and which pixels are evaluated.

A low-resolution image holds every f-th pixel of the truth, beginning at offset (f - 1) // 2 in both axes: sample
i is the pixel o + f·i, nothing is averaged. For an even f that is half a pixel before the centre (f - 1) / 2 of a
block of f pixels, which `interpolate(align_corners=False)` assumes. Six pixels at each border are not evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

BORDER = 6


@dataclass(frozen=True, eq=False)
class LowResolution:
    """What an upsampling method is given.

    Attributes:
        guide: (1, 3, H, W), RGB in 0..255, at the resolution wanted.
        values: (1, 1, h, w), the samples; where the truth is unknown, that of the nearest known pixel.
        valid: bool, (1, 1, h, w): whether the sample was known.
        factor: f.
    """

    guide: Tensor
    values: Tensor
    valid: Tensor
    factor: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width wanted."""
        return self.guide.shape[2], self.guide.shape[3]


def offset(factor: int) -> int:
    """Position of the first sample in both axes."""
    return (factor - 1) // 2


def low_resolution(guide: Tensor, truth: Tensor, known: Tensor, factor: int) -> LowResolution:
    """Sample a truth.

    Args:
        guide: (3, H, W), RGB in 0..255.
        truth: (H, W); its values where it is not known do not matter.
        known: bool, (H, W).
        factor: 2 or more; H and W need not be its multiples.

    Raises:
        ValueError: a factor below 2, nothing known, an image without a sample, or sizes that differ.
    """
    if factor < 2:
        raise ValueError(f"low_resolution: got factor {factor}, expected 2 or more")
    if guide.shape[1:] != truth.shape or known.shape != truth.shape:
        raise ValueError(
            f"low_resolution: got guide {tuple(guide.shape)}, truth {tuple(truth.shape)} and known "
            f"{tuple(known.shape)}, expected (3, H, W), (H, W) and (H, W)"
        )
    start = offset(factor)
    if min(truth.shape) <= start:
        raise ValueError(
            f"low_resolution: got an image of {truth.shape[0]} x {truth.shape[1]} pixels, expected more than {start} "
            f"in both axes for factor {factor}"
        )
    filled = filled_by_nearest(truth, known)
    picked = (slice(start, None, factor), slice(start, None, factor))
    return LowResolution(guide[None], filled[picked][None, None], known[picked][None, None], factor)


def filled_by_nearest(truth: Tensor, known: Tensor) -> Tensor:
    """The truth (H, W) with every unknown pixel replaced by the nearest known one (Euclidean distance)."""
    if bool(known.all()):
        return truth
    if not bool(known.any()):
        raise ValueError("filled_by_nearest: got an image without a known pixel, expected at least one")
    rows, columns = ndimage.distance_transform_edt(~known.numpy(), return_distances=False, return_indices=True)
    return torch.from_numpy(truth.numpy()[np.asarray(rows), np.asarray(columns)])


def evaluated(known: Tensor) -> Tensor:
    """Where a result counts, bool (H, W): the truth is known, and the pixel lies off the border."""
    mask = torch.zeros_like(known)
    mask[BORDER:-BORDER, BORDER:-BORDER] = known[BORDER:-BORDER, BORDER:-BORDER]
    return mask
