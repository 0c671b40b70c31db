"""Root mean square error over the known pixels of one image."""

from __future__ import annotations

import torch
from torch import Tensor


def root_mean_square_error(prediction: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    """Root mean square difference, in the unit of the arguments, computed in float64.

    Pixels whose truth is NaN or infinite are unknown and left out, whatever the mask says. A prediction that
    is NaN or infinite where the truth is known is never left out: the result is then NaN or infinite.

    Args:
        prediction: any shape.
        truth: the same shape.
        mask: bool, of a shape that broadcasts to it; only pixels where it is True are evaluated.

    Returns:
        The error; NaN if there is no pixel to evaluate.

    Raises:
        ValueError: different shapes, or a mask that is not bool or does not broadcast.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"root_mean_square_error: got a prediction of shape {tuple(prediction.shape)}, expected that "
            f"of the truth, {tuple(truth.shape)}"
        )
    evaluated = known(torch.isfinite(truth), mask, "root_mean_square_error")
    difference = prediction[evaluated].to(torch.float64) - truth[evaluated].to(torch.float64)
    return float(difference.square().mean().sqrt())


def known(finite: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """Where the truth is finite and the mask, if there is one, True; `name` stands in the error's message."""
    if mask is None:
        return finite
    if mask.dtype != torch.bool:
        raise ValueError(f"{name}: got a mask of dtype {mask.dtype}, expected torch.bool")
    try:
        return finite & mask.broadcast_to(finite.shape)
    except RuntimeError as error:
        raise ValueError(
            f"{name}: got a mask of shape {tuple(mask.shape)}, expected one that broadcasts to {tuple(finite.shape)}"
        ) from error
