"""Average endpoint error of optical flow over the known pixels of one image."""

from __future__ import annotations

import torch
from torch import Tensor

from pacbench.metrics.root_mean_square_error import known

UNKNOWN_FLOW = 1e9  # in `.flo` files a larger component marks an unknown pixel (Baker et al., IJCV 2011)


def endpoint_error(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    """Mean Euclidean distance between flow vectors, in pixels, computed in float64.

    Pixels whose truth has a component that is NaN, infinite or above 1e9 are unknown and left out. A
    prediction that is not finite where the truth is known is never left out.

    Args:
        prediction: (..., 2, H, W), pixels.
        truth: the same shape.
        mask: bool, of a shape that broadcasts to (..., H, W); only pixels where it is True are evaluated.

    Returns:
        The error; NaN if there is no pixel to evaluate.

    Raises:
        ValueError: shapes that differ or are no flow, or a mask that is not bool or does not broadcast.
    """
    if prediction.shape != truth.shape or truth.ndim < 3 or truth.shape[-3] != 2:
        raise ValueError(
            f"endpoint_error: got a prediction of shape {tuple(prediction.shape)} and a truth of shape "
            f"{tuple(truth.shape)}, expected both (..., 2, H, W)"
        )
    evaluated = known((truth.abs() <= UNKNOWN_FLOW).all(dim=-3), mask, "endpoint_error")
    difference = (prediction.to(torch.float64) - truth.to(torch.float64)).square().sum(dim=-3).sqrt()
    return float(difference[evaluated].mean())
