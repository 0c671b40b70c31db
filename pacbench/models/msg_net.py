"""MSG-Net, also DMSG (Hui, Loy & Tang, Depth Map Super-Resolution by Deep Multi-Scale Guidance, ECCV 2016).

A branch reads the guide's luminance and halves its resolution step by step; the other one begins at the samples'
resolution and doubles it step by step, each time beside the features that the guide has there. Both branches work on
high frequencies: what a 3 x 3 mean leaves. The samples' low frequencies are upsampled bicubically and added at the end.

The authors' program works on images of 2n - 1 pixels; here a doubling gives 2n, and a halving pads by one pixel. Its
weights would fit, but not mean quite the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from pacbench.models.channel_folding import expect_inputs, folded, repeated_guide, unfolded
from pacbench.models.pac_joint_upsample import doublings

_WIDTH = 32
_FIRST_OF_GUIDE = 49
_FIRST_OF_SAMPLES = 64
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
_LEAST_RANGE = 1e-6


class MSGNet(nn.Module):
    """Upsample under a guide.

    Args:
        factor: A power of two, 2 or more.
        channels: 1: an input with more is taken channel by channel.
        guide_channels: 3 for colour, whose luminance is taken, or 1.

    Raises:
        ValueError: a factor that is no power of two, or other channels.
    """

    def __init__(self, factor: int, channels: int = 1, guide_channels: int = 3) -> None:
        super().__init__()
        steps = doublings(type(self).__name__, factor)
        if channels != 1 or guide_channels not in (1, 3):
            raise ValueError(
                f"{type(self).__name__}: got {channels} channels and {guide_channels} of the guide, expected 1, and 1 "
                "or 3"
            )
        self.factor = factor
        self.channels = channels
        self.guide_channels = guide_channels
        self.guide_first = _convolution(1, _FIRST_OF_GUIDE, 7)
        self.guide_levels = nn.ModuleList(
            _convolution(_FIRST_OF_GUIDE if level == 0 else _WIDTH, _WIDTH) for level in range(steps)
        )
        self.samples_first = _convolution(1, _FIRST_OF_SAMPLES)
        self.doublings = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(_FIRST_OF_SAMPLES if step == 0 else _WIDTH, _WIDTH, 5, 2, 2, 1),
                nn.PReLU(_WIDTH),
            )
            for step in range(steps)
        )
        self.fusions = nn.ModuleList(
            nn.Sequential(_convolution(2 * _WIDTH, _WIDTH), _convolution(_WIDTH, _WIDTH)) for _ in range(steps)
        )
        self.last = nn.Sequential(_convolution(_WIDTH, _WIDTH), nn.Conv2d(_WIDTH, 1, 5, padding=2))

    def forward(self, target: Tensor, guide: Tensor) -> Tensor:
        """Upsample (N, C, h, w), about 0..1, under a guide (N, G, f·h, f·w) in 0..1; (N, C, f·h, f·w).

        Raises:
            ValueError: channels or sizes that do not fit.
        """
        expect_inputs(self, target, guide)
        samples = folded(target, self.channels)
        low = _smoothed(samples)
        levels = self._guide_levels(guide)
        x = self.samples_first(samples - low)
        for double, fuse, level in zip(self.doublings, self.fusions, reversed(levels), strict=True):
            x = double(x)
            x = fuse(torch.cat([repeated_guide(level, x), x], dim=1))
        smooth = F.interpolate(low, scale_factor=float(self.factor), mode="bicubic", align_corners=False)
        return unfolded(self.last(x) + smooth, target)

    def _guide_levels(self, guide: Tensor) -> list[Tensor]:
        """Features of the guide at full resolution, at half of it, and so on."""
        grey = guide if self.guide_channels == 1 else _luminance(guide)
        x = self.guide_first(_in_range(grey - _smoothed(grey)))
        levels: list[Tensor] = []
        for level, convolution in enumerate(self.guide_levels):
            x = convolution(x)
            levels.append(x if level == 0 else F.max_pool2d(x, 3, 2, 1))
            x = levels[-1]
        return levels


def _convolution(inputs: int, outputs: int, size: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2), nn.PReLU(outputs))


def _smoothed(x: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels, those at the border repeated."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def _luminance(colour: Tensor) -> Tensor:
    weights = colour.new_tensor(_LUMINANCE).view(1, 3, 1, 1)
    return (colour * weights).sum(dim=1, keepdim=True)


def _in_range(x: Tensor) -> Tensor:
    """Each image stretched to 0..1."""
    least, largest = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - least) / (largest - least).clamp_min(_LEAST_RANGE)
