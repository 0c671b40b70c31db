"""Where optical flow changes abruptly: errors beside motion boundaries tell upsampling methods apart."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

NEAR = 5.0
"""Pixels from a motion boundary within which the boundary error is measured."""

_OF_THE_FLOW = 0.01
_LEAST = 0.002


def near_motion_boundaries(flow: Tensor, known: Tensor, distance: float = NEAR) -> Tensor:
    """Pixels at most `distance` (Euclidean) from a motion boundary.

    A pixel lies on a boundary where |∇u|² + |∇v|² > 0.01 (u² + v²) + 0.002 (Sundaram, Brox & Keutzer, ECCV 2010,
    section 4), the gradient by differences to the next pixel of the row and of the column; a difference to an unknown
    pixel counts as 0.

    Args:
        flow: (2, H, W), pixels.
        known: bool (H, W).
        distance: Pixels.

    Returns:
        bool (H, W).

    Raises:
        ValueError: other shapes, or a mask that is not bool.
    """
    if flow.ndim != 3 or flow.shape[0] != 2 or known.shape != flow.shape[1:] or known.dtype != torch.bool:
        raise ValueError(
            f"near_motion_boundaries: got flow {tuple(flow.shape)} and known {tuple(known.shape)} of {known.dtype}, "
            "expected (2, H, W) and bool (H, W)"
        )
    vectors = torch.where(known, flow.to(torch.float64), 0.0)
    change = torch.zeros(known.shape, dtype=torch.float64)
    for axis in (0, 1):
        both = _pair(known, axis, 0) & _pair(known, axis, 1)
        difference = vectors.diff(dim=axis + 1).square().sum(dim=0)
        _pair(change, axis, 0).add_(torch.where(both, difference, 0.0))
    boundary = known & (change > _OF_THE_FLOW * vectors.square().sum(dim=0) + _LEAST)
    if not bool(boundary.any()):
        return boundary
    nearest = np.asarray(ndimage.distance_transform_edt(~boundary.numpy()))
    return torch.from_numpy(nearest <= distance)


def _pair(values: Tensor, axis: int, place: int) -> Tensor:
    """All but the last (place 0) or the first (place 1) of an axis; a view."""
    return values.narrow(axis, place, values.shape[axis] - 1)
