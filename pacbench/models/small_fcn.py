"""A small FCN-8s that trains on two cores: VGG's five stages, narrow, with batch normalisation."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from .bilinear import fill_bilinear

COLOUR_MEAN = 114.0
COLOUR_DEVIATION = 64.0
"""Images are shifted and scaled by round numbers near those of photographs; batch normalisation does the rest."""

WIDTH = 16
_STAGES: tuple[tuple[int, int], ...] = ((1, 2), (2, 2), (4, 3), (6, 3), (6, 3))
"""Channels in units of the width, and convolutions, of each stage."""


class SmallFCN(nn.Module):
    """FCN-8s in small: image (N, 3, H, W), RGB in [0, 255], to class scores (N, num_classes, H, W).

    The stages are those of VGG-16 (2, 2, 3, 3, 3 convolutions 3 × 3, each stage at half the resolution of the one
    before), without its fully connected layers, with batch normalisation after each convolution. The scores of
    stages 5, 4 and 3 are summed and upsampled as in FCN-8s; layers that FCN-8s has too are called as there. Any image
    size will do. At the default width it has 0.59 million parameters.

    Args:
        num_classes: Number of classes.
        width: Channels of the first stage; the others have 2, 4, 6 and 6 times as many.
    """

    def __init__(self, num_classes: int, width: int = WIDTH) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.width = width
        channels = 3
        for stage, (multiple, depth) in enumerate(_STAGES, start=1):
            for number in range(1, depth + 1):
                self.add_module(
                    f"conv{stage}_{number}", nn.Conv2d(channels, multiple * width, 3, padding=1, bias=False)
                )
                channels = multiple * width
                self.add_module(f"bn{stage}_{number}", nn.BatchNorm2d(channels))
                self.add_module(f"relu{stage}_{number}", nn.ReLU(inplace=True))
            self.add_module(f"pool{stage}", nn.MaxPool2d(2, stride=2, ceil_mode=True))
        self.score_fr = nn.Conv2d(6 * width, num_classes, 1)
        self.score_pool4 = nn.Conv2d(6 * width, num_classes, 1)
        self.score_pool3 = nn.Conv2d(4 * width, num_classes, 1)
        self.upscore2 = _upsampling(num_classes, 2)
        self.upscore_pool4 = _upsampling(num_classes, 2)
        self.upscore8 = _upsampling(num_classes, 8)
        for name, module in self.named_children():
            if name.startswith("conv"):
                nn.init.kaiming_normal_(cast(Tensor, module.weight), nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Class scores (N, num_classes, H, W) of an image (N, 3, H, W), RGB in [0, 255]."""
        features = (image - COLOUR_MEAN) / COLOUR_DEVIATION
        pooled: list[Tensor] = []
        for stage, (_, depth) in enumerate(_STAGES, start=1):
            for number in range(1, depth + 1):
                for kind in ("conv", "bn", "relu"):
                    features = getattr(self, f"{kind}{stage}_{number}")(features)
            features = getattr(self, f"pool{stage}")(features)
            pooled.append(features)
        scores = _enlarged(self.upscore2, self.score_fr(pooled[4]), pooled[3]) + self.score_pool4(pooled[3])
        scores = _enlarged(self.upscore_pool4, scores, pooled[2]) + self.score_pool3(pooled[2])
        return _enlarged(self.upscore8, scores, image)


def _upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Each channel by itself, bilinear to begin with."""
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False)
    fill_bilinear(layer)
    return layer


def _enlarged(layer: nn.Module, scores: Tensor, like: Tensor) -> Tensor:
    """Upsampled to the size of `like`; pooling rounded sizes up, so what is too much lies at the far side."""
    enlarged: Tensor = layer(scores)
    return enlarged[:, :, : like.shape[2], : like.shape[3]].contiguous()


def parameter_count(model: nn.Module) -> int:
    """How many numbers a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())


__all__ = ["SmallFCN", "parameter_count"]
