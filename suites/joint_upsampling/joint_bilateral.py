"""Joint bilateral upsampling (Kopf et al., SIGGRAPH 2007) as a pixel-adaptive transposed convolution.

Pixel p becomes the mean of the samples q within reach, weighted by exp(-½ |p - q|² / (f·σ_s)²) in space and by
exp(-½ |I_p - I_q|² / σ_r²) in the colours I of the guide at full resolution. The first factor is the shared filter,
the second the adapting kernel of the guide I / σ_r. The operator gives sums: of the values where they are valid, and
of their validity as one more channel. The mean is the one divided by the other.

Where no valid sample is within reach, or all colours differ so much that the weights' sum is below 1e-12, the result
is that of `aligned_bilinear`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

from pacbench.backend import Backend
from pacbench.functional import guided_pacconv_transpose2d

from .interpolation import aligned_bilinear
from .sampling import LowResolution, offset

_LEAST_WEIGHT = 1e-12
_WIDEST = 8


def reach_in_samples(factor: int) -> int:
    """How far a sample counts, in both axes: 2 (the paper's 5 x 5 window), beyond x 8 only 1.

    The unfused reference holds (2·reach·f + 1)² numbers a pixel.
    """
    return 2 if factor <= _WIDEST else 1


@dataclass(frozen=True)
class JointBilateral:
    """By a backend's `guided_pacconv_transpose2d`.

    Attributes:
        colour_sigma: σ_r, of colours in 0..255.
        spatial_sigma: σ_s, in samples.
        backend: Who computes it.
    """

    colour_sigma: float
    spatial_sigma: float
    backend: Backend

    def __call__(self, low: LowResolution) -> Tensor:
        """Upsample; see the module."""
        height, width = low.size
        reach = reach_in_samples(low.factor) * low.factor
        missing = [_beyond_the_edge(size, low) for size in low.size]
        guide = F.pad(low.guide / self.colour_sigma, (0, missing[1], 0, missing[0]), mode="replicate")
        output_padding = [
            size - (samples - 1) * low.factor - 2 * offset(low.factor) - 1
            for size, samples in zip(guide.shape[2:], low.values.shape[2:], strict=True)
        ]
        sums: Tensor = guided_pacconv_transpose2d(
            torch.cat([low.values * low.valid, low.valid.to(low.values)], dim=1),
            guide,
            _spatial_filter(reach, self.spatial_sigma * low.factor).to(low.values),
            stride=low.factor,
            padding=reach - offset(low.factor),
            output_padding=output_padding,
            shared_filters=True,
            backend=self.backend,
        )
        weighted, weights = sums[:, :-1, :height, :width], sums[:, -1:, :height, :width]
        return _mean(weighted, weights, low)


@dataclass(frozen=True)
class TapByTap:
    """The same, without a PAC operator: sample by sample on the low-resolution grid.

    Attributes:
        colour_sigma: σ_r, of colours in 0..255.
        spatial_sigma: σ_s, in samples.
    """

    colour_sigma: float
    spatial_sigma: float

    def __call__(self, low: LowResolution) -> Tensor:
        """Upsample; see the module."""
        reach = reach_in_samples(low.factor)
        values, valid = low.values[0], low.valid[0, 0].to(low.values)
        weighted, weights = values.new_zeros(values.shape[0], *low.size), values.new_zeros(low.size)
        rows = [_Sample(step, 0, reach, low) for step in range(-reach, reach + 2)]
        columns = [_Sample(step, 1, reach, low) for step in range(-reach, reach + 2)]
        guide = low.guide[0]
        scale = -0.5 / (self.spatial_sigma * low.factor) ** 2
        for row in rows:
            guide_of_row, values_of_row, valid_of_row = guide[:, row.pixel], values[:, row.index], valid[row.index]
            for column in columns:
                difference = (guide_of_row[:, :, column.pixel] - guide).square().sum(0)
                distance = row.distance.square()[:, None] + column.distance.square()
                weight = torch.exp(-0.5 / self.colour_sigma**2 * difference + scale * distance)
                weight *= row.counts[:, None] * column.counts * valid_of_row[:, column.index]
                weighted += weight * values_of_row[:, :, column.index]
                weights += weight
        return _mean(weighted[None], weights[None, None], low)


class _Sample:
    """Along one axis, for each pixel: the sample `step` places from the one before it."""

    def __init__(self, step: int, axis: int, reach: int, low: LowResolution) -> None:
        start, factor, count = offset(low.factor), low.factor, low.values.shape[2 + axis]
        pixels = torch.arange(low.size[axis])
        index = torch.div(pixels - start, factor, rounding_mode="floor") + step
        self.distance = (pixels - start - index * factor).to(low.values)
        inside = (index >= 0) & (index < count)
        self.counts = (inside & (self.distance.abs() <= reach * factor)).to(low.values)
        self.index = index.clamp(0, count - 1)
        self.pixel = start + self.index * factor


def _beyond_the_edge(size: int, low: LowResolution) -> int:
    """Pixels that the guide lacks after the last sample: the operator's output ends no nearer to it than `offset`."""
    start = offset(low.factor)
    samples = len(range(start, size, low.factor))
    return max(0, start + (samples - 1) * low.factor + start + 1 - size)


def _spatial_filter(reach: int, sigma: float) -> Tensor:
    """The shared filter (1, 1, k, k): a Gaussian of `sigma` pixels, 1 at its centre."""
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma).square())
    return torch.outer(line, line)[None, None]


def _mean(weighted: Tensor, weights: Tensor, low: LowResolution) -> Tensor:
    enough = weights > _LEAST_WEIGHT
    return torch.where(enough, weighted / torch.where(enough, weights, 1), aligned_bilinear(low))
