"""DJF (Li, Huang, Ahuja & Yang, Deep Joint Image Filtering, ECCV 2016), and its wide variant.

Two branches of three convolutions (9, 1 and 5 taps) read the bilinearly upsampled samples and the guide; a third one
reads both results. The wide variant is Su et al.'s (CVPR 2019): as many parameters as PacJointUpsample has. The keys of
the state_dict, and where the zeros are padded, are those of their implementation: `branch_t`, `branch_g`,
`branch_joint`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from pacbench.models.channel_folding import expect_inputs, folded, repeated_guide, unfolded
from pacbench.models.passing_on import pass_on

_SIZES = (9, 1, 5)
_READING = (2, 2, 2)  # what the first branches pad: all that is lost, in equal parts
_JOINING = (4, 0, 2)  # the last one: what each convolution loses


class DJF(nn.Module):
    """Upsample under a guide.

    Args:
        factor: 2 or more, any whole number.
        channels: Channels read and predicted together; an input with more is taken channel by channel where this is 1.
        guide_channels: 3 for colour.
        reading: Channels of the first two convolutions of the samples' and of the guide's branch.
        joining: Likewise of the joint branch.
    """

    def __init__(
        self,
        factor: int,
        channels: int = 1,
        guide_channels: int = 3,
        reading: tuple[int, int] = (96, 48),
        joining: tuple[int, int] = (64, 32),
    ) -> None:
        super().__init__()
        if factor < 2:
            raise ValueError(f"{type(self).__name__}: got factor {factor}, expected 2 or more")
        self.factor = factor
        self.channels = channels
        self.guide_channels = guide_channels
        self.branch_t = _branch((channels, *reading, 1), _READING)
        self.branch_g = _branch((guide_channels, *reading, 1), _READING)
        self.branch_joint = _branch((2, *joining, channels), _JOINING)

    def start_as_interpolation(self) -> None:
        """Set filters so that samples of 0 or more come out bilinearly upsampled, but for two pixels at the border.

        The other channels keep their random filters.
        """
        pass_on(self.branch_t)
        pass_on(self.branch_joint)

    def forward(self, target: Tensor, guide: Tensor) -> Tensor:
        """Upsample (N, C, h, w), about 0..1, under a guide (N, G, f·h, f·w) in 0..1; (N, C, f·h, f·w).

        Raises:
            ValueError: channels or sizes that do not fit.
        """
        expect_inputs(self, target, guide)
        x = folded(target, self.channels)
        x = F.interpolate(x, scale_factor=float(self.factor), mode="bilinear", align_corners=False)
        x = self.branch_t(x)
        joint = torch.cat([x, repeated_guide(self.branch_g(guide), x)], dim=1)
        return unfolded(self.branch_joint(joint), target)


class DJFWide(DJF):
    """The wide variant; see `DJF`."""

    def __init__(self, factor: int, channels: int = 1, guide_channels: int = 3) -> None:
        super().__init__(factor, channels, guide_channels, (256, 128), (256, 128))


def _branch(sizes: tuple[int, ...], padding: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, size, pad in zip(sizes, sizes[1:], _SIZES, padding, strict=False):
        layers += [nn.ReLU()] if layers else []
        layers.append(nn.Conv2d(inputs, outputs, size, padding=pad))
    return nn.Sequential(*layers)
