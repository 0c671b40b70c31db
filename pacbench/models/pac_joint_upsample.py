"""PacJointUpsample (Su et al., CVPR 2019, section 4 and supplement): transposed pixel-adaptive convolutions in a row.

A branch of convolutions reads the samples, another one the guide; log2(factor) transposed pixel-adaptive convolutions
double the resolution one after the other, each under its own features of the guide's branch; a last branch predicts.
The keys of the state_dict are the published ones: `branch_t`, `branch_g`, `up_convts`, `branch_f`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from pacbench.backend import Backend
from pacbench.models.channel_folding import expect_inputs, folded, repeated_guide, unfolded
from pacbench.models.passing_on import interpolate, pass_on
from pacbench.nn import PacConvTranspose2d

_SIZE = 5
_FINAL_CONVOLUTIONS = 2


@dataclass(frozen=True)
class Widths:
    """Channels of the layers.

    Attributes:
        target: outputs of the convolutions of the samples' branch.
        guide: outputs of the convolutions of the guide's branch but the last.
        final: outputs of the transposed convolutions, then of the last branch's convolutions but the last.
        features: guide features of each transposed convolution.
    """

    target: tuple[int, ...]
    guide: tuple[int, ...]
    final: tuple[int, ...]
    features: int


def full_widths(factor: int) -> Widths:
    """The widths of the full model."""
    return Widths((32,) * 3, (32,) * 2, (32,) * (doublings("PacJointUpsample", factor) + 1), 16)


LITE_WIDTHS = {
    4: Widths((12, 16, 22), (12, 22), (12, 16, 22), 12),
    8: Widths((12, 16, 16), (12, 16), (12, 16, 16, 20), 12),
    16: Widths((8, 16, 16), (8, 16), (8, 16, 16, 16, 16), 10),
}
"""The widths of the published lite model, by factor: about as many parameters as DJF has."""


class PacJointUpsample(nn.Module):
    """Upsample under a guide.

    Args:
        factor: A power of two, 2 or more.
        channels: Channels that the network reads and predicts together; an input with more is taken channel by
            channel where this is 1, as published.
        guide_channels: 3 for colour.
        widths: The full model's if not given.
        backend: Who computes the transposed convolutions.

    Raises:
        ValueError: a factor that is no power of two, or widths for another one.
    """

    def __init__(
        self,
        factor: int,
        channels: int = 1,
        guide_channels: int = 3,
        widths: Widths | None = None,
        *,
        backend: str | Backend | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        steps = doublings(name, factor)
        widths = full_widths(factor) if widths is None else widths
        if len(widths.final) != steps + _FINAL_CONVOLUTIONS - 1:
            raise ValueError(
                f"{name}: got {len(widths.final)} widths of final layers, expected "
                f"{steps + _FINAL_CONVOLUTIONS - 1} for factor {factor}"
            )
        self.factor = factor
        self.channels = channels
        self.guide_channels = guide_channels
        self.features = widths.features
        self.branch_t = _branch((channels, *widths.target))
        self.branch_g = _branch((guide_channels, *widths.guide, widths.features * steps))
        sizes = (widths.target[-1], *widths.final, channels)
        self.up_convts = nn.ModuleList(self.doubling(sizes[step], sizes[step + 1], backend) for step in range(steps))
        self.branch_f = _branch(sizes[steps:])

    def doubling(self, inputs: int, outputs: int, backend: str | Backend | None) -> nn.Module:
        """The layer that doubles the resolution."""
        return PacConvTranspose2d(
            inputs, outputs, _SIZE, stride=2, padding=_SIZE // 2, output_padding=1, backend=backend
        )

    def start_as_interpolation(self) -> None:
        """Set filters so that samples of 0 or more come out linearly interpolated, as far as the guide is flat.

        A sample comes to lie at pixel (factor - 1) // 2 of its block, where the protocol takes it. The other channels
        keep their random filters.
        """
        pass_on(self.branch_t)
        for step, layer in enumerate(self.up_convts):
            assert isinstance(layer.weight, Tensor)
            interpolate(layer.weight, layer.bias if isinstance(layer.bias, Tensor) else None, shift=min(step, 1))
        pass_on(self.branch_f)

    def forward(self, target: Tensor, guide: Tensor) -> Tensor:
        """Upsample (N, C, h, w), about 0..1, under a guide (N, G, f·h, f·w) in 0..1; (N, C, f·h, f·w).

        Raises:
            ValueError: channels or sizes that do not fit.
        """
        expect_inputs(self, target, guide)
        x = self.branch_t(folded(target, self.channels))
        features = self.branch_g(guide)
        for step, layer in enumerate(self.up_convts):
            own = features[:, step * self.features : (step + 1) * self.features]
            size = (2 * x.shape[2], 2 * x.shape[3])
            if own.shape[2:] != size:
                own = F.interpolate(own, size=size, mode="bilinear", align_corners=False)
            x = F.relu(layer(x, repeated_guide(own, x)))
        return unfolded(self.branch_f(x), target)


class PacJointUpsampleLite(PacJointUpsample):
    """The published lite model, for factors 4, 8 and 16; see `PacJointUpsample`."""

    def __init__(
        self, factor: int, channels: int = 1, guide_channels: int = 3, *, backend: str | Backend | None = None
    ) -> None:
        if factor not in LITE_WIDTHS:
            raise ValueError(
                f"{type(self).__name__}: got factor {factor}, expected one of {', '.join(map(str, LITE_WIDTHS))}"
            )
        super().__init__(factor, channels, guide_channels, LITE_WIDTHS[factor], backend=backend)


def doublings(name: str, factor: int) -> int:
    """How many times a factor doubles; ValueError where it is no power of two from 2 on."""
    if factor < 2 or factor & (factor - 1):
        raise ValueError(f"{name}: got factor {factor}, expected a power of two, 2 or more")
    return factor.bit_length() - 1


def _branch(sizes: Sequence[int]) -> nn.Sequential:
    """Convolutions named conv1, conv2, … with rectifiers between them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        if number > 1:
            layers[f"relu{number - 1}"] = nn.ReLU()
        layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, _SIZE, padding=_SIZE // 2)
    return nn.Sequential(layers)
