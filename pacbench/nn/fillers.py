"""Initial filters of the convolution layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .layer_bases import PacConvolution

FIXED = frozenset({"pool", "crf_pool"})
"""Fillers whose filter is not learnt."""

FILLERS = frozenset({"uniform", "linear", "crf", "crf_perturbed"}) | FIXED

PERTURBATION = 0.0005
"""Half-width of the uniform noise that breaks the symmetry of a CRF's filters."""


def expect_fits(name: str, filler: str, layer: PacConvolution) -> None:
    """Raise a ValueError where a filler does not exist or does not fit the layer."""
    if filler not in FILLERS:
        raise ValueError(f"{name}: got filler {filler!r}, expected one of {', '.join(sorted(FILLERS))}")
    if filler in FIXED and not layer.shared_filters:
        raise ValueError(f"{name}: got filler {filler!r} without shared_filters, expected shared_filters=True")
    square = layer.kernel_size[0] == layer.kernel_size[1]
    if filler in {"crf", "crf_perturbed"} and not (square and layer.in_channels == layer.out_channels):
        raise ValueError(
            f"{name}: got filler {filler!r} with kernel_size {layer.kernel_size} and {layer.in_channels} to "
            f"{layer.out_channels} channels, expected a square window and as many channels out as in"
        )
    if filler == "linear":
        needed = tuple(2 * s - 1 for s in layer.stride)
        fits = all(k >= n for k, n in zip(layer.kernel_size, needed, strict=True))
        if not (layer.transposed and layer.in_channels == layer.out_channels and fits):
            raise ValueError(
                f"{name}: got filler 'linear' with kernel_size {layer.kernel_size} and {layer.in_channels} to "
                f"{layer.out_channels} channels, expected a transposed layer with as many channels out as in and a "
                f"kernel_size of at least {needed}"
            )


def fill(filler: str, layer: PacConvolution) -> None:
    """Fill filter and bias of a layer in place."""
    weight, bias = layer.weight, layer.bias
    if filler in FIXED:
        weight.fill_(1)
        if filler == "crf_pool":
            weight[..., layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 0
    elif filler == "uniform":
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        bound = 1 / math.sqrt(layer.in_channels * taps)
        weight_bound = bound * layer.in_channels if layer.shared_filters else bound
        weight.uniform_(-weight_bound, weight_bound)
        if bias is not None:
            bias.uniform_(-weight_bound, weight_bound)
        return
    elif filler == "linear":
        _fill_channels(layer, _interpolation(layer), diagonal=True)
    else:
        _fill_channels(layer, mean_field_gaussian(layer.kernel_size[0]), diagonal=False)
        if filler == "crf_perturbed":
            weight.add_((torch.rand_like(weight) - 0.5) * (2 * PERTURBATION))
    if bias is not None:
        bias.zero_()


def mean_field_gaussian(size: int) -> Tensor:
    """Spatial filter (size, size) of a mean-field message: a Gaussian of σ = size / 4, times size², centre tap 0.

    The centre is the j ≠ i of Krähenbühl & Koltun, NIPS 2011, eq. 5.
    """
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    line = torch.exp(-0.5 * (offsets / (size / 4)) ** 2)
    gaussian = torch.outer(line, line)
    gaussian *= size * size / gaussian.sum()
    gaussian[size // 2, size // 2] = 0
    return gaussian


def _fill_channels(layer: PacConvolution, spatial: Tensor, *, diagonal: bool) -> None:
    """Put a spatial filter on the channel diagonal, or everywhere but there (the compatibility 1 - I)."""
    weight = layer.weight
    if layer.shared_filters:
        channels = weight.new_ones(1, 1)
    else:
        identity = torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device)
        channels = identity if diagonal else 1 - identity
    weight.copy_(channels[:, :, None, None] * spatial.to(weight))


def _interpolation(layer: PacConvolution) -> Tensor:
    """Filter of bilinear interpolation for a transposed layer, (k_h, k_w).

    With a normalised kernel each tap is multiplied by the number of taps that meet an input pixel, which the
    normalisation divides by again.
    """
    lines = []
    for size, stride in zip(layer.kernel_size, layer.stride, strict=True):
        taps = torch.arange(size, dtype=torch.float64)
        line = (1 - (taps - size // 2).abs() / stride).clamp_min(0)
        if layer.normalize_kernel:
            line = line * torch.tensor([(size - 1 - tap) // stride + tap // stride + 1 for tap in range(size)])
        lines.append(line)
    return torch.outer(*lines)
