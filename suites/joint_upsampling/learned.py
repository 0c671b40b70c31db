"""Upsampling by a network: what it is given, as in training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from .sampling import LowResolution, padded_to_blocks

_WHITE = 255.0


@dataclass(frozen=True, eq=False)
class Learned:
    """A network of `pacbench.models` as an upsampling method.

    Each channel's samples are stretched to 0..1, as in the published training, and the result back; the guide is in
    0..1. An image that is not whole blocks of f x f pixels is padded to such, and the result cropped.
    """

    network: nn.Module

    def __call__(self, low: LowResolution) -> Tensor:
        """Upsample; ValueError where the network takes a guide of other channels."""
        guide, values = padded_to_blocks(low)
        stretched, least, span = in_range(values)
        height, width = low.size
        result: Tensor = self.network(stretched, guide / _WHITE) * span + least
        return result[:, :, :height, :width]


def in_range(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each channel of (N, C, h, w) stretched to 0..1, with its least value and its range, (N, C, 1, 1).

    A constant channel has range 1 and lies at 0.5, as in the published training.
    """
    least, largest = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    flat = largest == least
    least = least - 0.5 * flat
    span = largest - least + 0.5 * flat
    return (values - least) / span, least, span
