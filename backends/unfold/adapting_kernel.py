"""The adapting kernel of a guide, tap by tap."""

from __future__ import annotations

import torch
from torch import Tensor

from pacbench.adapting_kernel import AdaptingKernel
from pacbench.centres import centres
from pacbench.columns import columns
from pacbench.geometry import Window

EPSILON = 1e-4
"""Added to d² in `inv` kernels, so that the power has a derivative at 0 (OPERATORS, after Saeedan et al., 2018)."""


def adapting_kernel(
    guide: Tensor, mask: Tensor | None, window: Window, adapting: AdaptingKernel
) -> tuple[Tensor, Tensor | None]:
    """Kernel (N, 1 or G, k_h, k_w, H', W') and output mask (bool, N, 1, H', W'); see `pacbench.functional`."""
    over_guide = window.over_guide
    difference = columns(guide, over_guide) - centres(guide, over_guide, adapting.smooth_kernel)[:, :, None, None]
    if adapting.asymmetric:
        difference = difference.clamp_min(0)
    distance = difference.square()
    if not adapting.channel_wise:
        distance = distance.sum(1, keepdim=True)
    kernel = _of_distance(distance, adapting)

    if mask is None and not adapting.normalize:
        return kernel, None
    inside = columns(_inside(guide, window), window)
    if mask is None:
        return _divided(kernel * inside, _over_taps(kernel * inside)), None
    valid = columns(mask, window)
    kernel = kernel * valid
    norm = _over_taps(kernel) if adapting.normalize else _divided(_over_taps(valid), _over_taps(inside))
    return _divided(kernel, norm), _over_taps(valid != 0)[:, :, 0, 0] > 0


def _of_distance(distance: Tensor, adapting: AdaptingKernel) -> Tensor:
    if adapting.form == "gaussian":
        return torch.exp(-0.5 * distance)
    if adapting.inv_alpha is None or adapting.inv_lambda is None:
        raise ValueError("packernel2d: got an inv kernel without inv_alpha and inv_lambda, expected both")
    alpha = adapting.inv_alpha.view(1, -1, 1, 1, 1, 1)
    exponent = adapting.inv_lambda.view(1, -1, 1, 1, 1, 1)
    return alpha + (distance + EPSILON) ** (exponent / 2)


def _inside(guide: Tensor, window: Window) -> Tensor:
    """Ones (1, 1, H, W) of the input's size: their columns are 1 where a tap lies on a pixel of the image."""
    h, w = guide.shape[2], guide.shape[3]
    if window.transposed:
        h, w = (int(size) for size in window.transposed_input_size((h, w)))
    return guide.new_ones(1, 1, h, w)


def _over_taps(taps: Tensor) -> Tensor:
    return taps.sum((2, 3), keepdim=True)


def _divided(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Ratio of the two, and 0 where the denominator is 0; no NaN in either direction of the gradient."""
    empty = denominator == 0
    return (numerator / denominator.masked_fill(empty, 1)).masked_fill(empty, 0)
