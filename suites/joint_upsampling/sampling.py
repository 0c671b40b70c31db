"""The protocol: where the low-resolution samples lie, and which pixels are evaluated.

A low-resolution image holds every f-th pixel of the truth, beginning at offset (f - 1) // 2 in both axes: sample
i is the pixel o + f·i, nothing is averaged. For an even f that is half a pixel before the centre (f - 1) / 2 of a
block of f pixels, which `interpolate(align_corners=False)` assumes. Of depth, six pixels at each border are not
evaluated.
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
        guide: (1, G, H, W), RGB or grey in 0..255, at the resolution wanted.
        values: (1, C, h, w), the samples; where the truth is unknown, that of the nearest known pixel.
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

    def to(self, device: str) -> LowResolution:
        """The same on a device."""
        return LowResolution(self.guide.to(device), self.values.to(device), self.valid.to(device), self.factor)


def offset(factor: int) -> int:
    """Position of the first sample in both axes."""
    return (factor - 1) // 2


def low_resolution(guide: Tensor, truth: Tensor, known: Tensor, factor: int, start: int | None = None) -> LowResolution:
    """Sample a truth.

    Args:
        guide: (G, H, W), RGB or grey in 0..255.
        truth: (C, H, W); its values where it is not known do not matter.
        known: bool, (H, W).
        factor: 2 or more; H and W need not be its multiples.
        start: Where the first sample lies, if not at :func:`offset`.

    Raises:
        ValueError: a factor below 2, nothing known, a known truth that is not finite, an image without a sample, or
            sizes that differ.
    """
    if factor < 2:
        raise ValueError(f"low_resolution: got factor {factor}, expected 2 or more")
    if truth.ndim != 3 or guide.ndim != 3 or guide.shape[1:] != truth.shape[1:] or known.shape != truth.shape[1:]:
        raise ValueError(
            f"low_resolution: got guide {tuple(guide.shape)}, truth {tuple(truth.shape)} and known "
            f"{tuple(known.shape)}, expected (G, H, W), (C, H, W) and (H, W)"
        )
    start = offset(factor) if start is None else start
    if min(known.shape) <= start:
        raise ValueError(
            f"low_resolution: got an image of {known.shape[0]} x {known.shape[1]} pixels, expected more than {start} "
            f"in both axes for factor {factor}"
        )
    unusable = int((known & ~torch.isfinite(truth).all(dim=0)).sum())
    if unusable:
        raise ValueError(
            f"low_resolution: got {unusable} known pixels whose truth is not finite, expected such to be unknown"
        )
    filled = filled_by_nearest(truth, known)
    picked = (slice(start, None, factor), slice(start, None, factor))
    return LowResolution(guide[None], filled[:, *picked][None], known[picked][None, None], factor)


def filled_by_nearest(truth: Tensor, known: Tensor) -> Tensor:
    """The truth (C, H, W) with every unknown pixel replaced by the nearest known one (Euclidean distance)."""
    if bool(known.all()):
        return truth
    if not bool(known.any()):
        raise ValueError("filled_by_nearest: got an image without a known pixel, expected at least one")
    rows, columns = ndimage.distance_transform_edt(~known.numpy(), return_distances=False, return_indices=True)
    return torch.from_numpy(truth.numpy()[:, np.asarray(rows), np.asarray(columns)])


def evaluated(known: Tensor, border: int = BORDER) -> Tensor:
    """Where a result counts, bool (H, W): the truth is known, and the pixel lies off the border."""
    mask = torch.zeros_like(known)
    inside = (slice(border, known.shape[0] - border), slice(border, known.shape[1] - border))
    mask[inside] = known[inside]
    return mask


def padded_to_blocks(low: LowResolution) -> tuple[Tensor, Tensor]:
    """Guide and samples of an image that is whole blocks of f x f pixels, for methods that know no other.

    Where the image ends inside a block, the guide's last rows and columns are repeated to its end, and a block
    without a sample has that of its neighbour. The result is to be cropped to the size wanted.

    Returns:
        The guide (1, G, f·m, f·n) and the samples (1, C, m, n), where m = ceil(H / f), n = ceil(W / f).
    """
    blocks = [-(-size // low.factor) for size in low.size]
    more = [count - samples for count, samples in zip(blocks, low.values.shape[2:], strict=True)]
    rest = [count * low.factor - size for count, size in zip(blocks, low.size, strict=True)]
    pad = torch.nn.functional.pad
    return (
        pad(low.guide, (0, rest[1], 0, rest[0]), mode="replicate"),
        pad(low.values, (0, more[1], 0, more[0]), mode="replicate"),
    )
