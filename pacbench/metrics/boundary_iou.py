"""Mean IoU in a narrow band around the truth's boundaries (a trimap), where CRFs earn their keep.

After Kohli, Ladický & Torr (Robust Higher Order Potentials for Enforcing Label Consistency, IJCV 2009, section 5) and
Krähenbühl & Koltun (NIPS 2011, section 4): only pixels near a boundary of the truth count, whatever the prediction.
Void counts as a label of its own when boundaries are sought, so that the void rims of VOC are boundaries, and is
itself never evaluated.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from .mean_iou import VOID

WIDTHS = (2, 4, 8)
"""Widths of the band in pixels, on each side."""


def boundary_distance(truth: Tensor) -> Tensor:
    """How far each pixel is from the nearest pixel of another label, in pixels.

    Args:
        truth: integers (H, W); void is a label like any other here.

    Returns:
        float64 (H, W), 1 for a pixel that touches another label by a side; infinite where there is only one label.
        The image's border is no boundary.

    Raises:
        ValueError: another shape.
    """
    if truth.dim() != 2:
        raise ValueError(f"boundary_distance: got a truth of shape {tuple(truth.shape)}, expected (H, W)")
    labels = truth.cpu().numpy()
    distance = np.full(labels.shape, np.inf)
    present = np.unique(labels)
    if len(present) > 1:
        for label in present:
            own = labels == label
            distance[own] = distance_transform_edt(own)[own]
    return torch.from_numpy(distance)


def trimap(truth: Tensor, width: float, distance: Tensor | None = None, ignore_index: int = VOID) -> Tensor:
    """The truth with void wherever it is farther than `width` pixels from a boundary.

    Args:
        truth: integers (H, W).
        width: pixels on each side of the boundary; 1 keeps those that touch another label by a side.
        distance: what `boundary_distance` gives for it, where it is known.
        ignore_index: void.

    Returns:
        Integers (H, W), for `MeanIoUMeter.add` in the truth's place.
    """
    distance = boundary_distance(truth) if distance is None else distance
    return truth.masked_fill((distance > width).to(truth.device), ignore_index)
