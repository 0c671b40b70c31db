"""FCN-8s on VGG-16 (Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015).

Layer names, the padding of 100 and the crops are those of the published network, so that weights converted from
Caffe (as by wkentaro/pytorch-fcn) load with `load_state_dict`. They expect BGR with the training set's mean
subtracted; `FCN8s` does both itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .bilinear import fill_bilinear

BGR_MEAN = (104.00698793, 116.66876762, 122.67891434)
"""Mean colour of the images that VGG-16 was trained on, as the published weights expect it subtracted."""

_STAGES: tuple[tuple[int, int], ...] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_CROPS = {"score_pool4": 5, "score_pool3": 9, "upscore8": 31}
"""Where the borders that the padding of 100 added end, in pixels of each score's own resolution."""


class FCN8s(nn.Module):
    """FCN-8s: image (N, 3, H, W), RGB in [0, 255], to class scores (N, num_classes, H, W).

    Without weights the convolutions start at random (He's normal distribution), the scores at zero as published, and
    the upsampling at bilinear interpolation.

    Args:
        num_classes: Number of classes, 21 in the published weights.
        score_scales: What the scores of pools 3 and 4 are computed from is multiplied with these; (1, 1) for weights
            trained in stages, (1e-4, 1e-2) for those trained "at once".
    """

    def __init__(self, num_classes: int = 21, score_scales: tuple[float, float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.score_scales = score_scales
        channels = 3
        for stage, (width, depth) in enumerate(_STAGES, start=1):
            for number in range(1, depth + 1):
                padding = 100 if (stage, number) == (1, 1) else 1
                self.add_module(f"conv{stage}_{number}", nn.Conv2d(channels, width, 3, padding=padding))
                self.add_module(f"relu{stage}_{number}", nn.ReLU(inplace=True))
                channels = width
            self.add_module(f"pool{stage}", nn.MaxPool2d(2, stride=2, ceil_mode=True))
        self.fc6 = nn.Conv2d(512, 4096, 7)
        self.relu6 = nn.ReLU(inplace=True)
        self.drop6 = nn.Dropout2d()
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        self.relu7 = nn.ReLU(inplace=True)
        self.drop7 = nn.Dropout2d()
        self.score_fr = nn.Conv2d(4096, num_classes, 1)
        self.score_pool3 = nn.Conv2d(256, num_classes, 1)
        self.score_pool4 = nn.Conv2d(512, num_classes, 1)
        self.upscore2 = nn.ConvTranspose2d(num_classes, num_classes, 4, stride=2, bias=False)
        self.upscore8 = nn.ConvTranspose2d(num_classes, num_classes, 16, stride=8, bias=False)
        self.upscore_pool4 = nn.ConvTranspose2d(num_classes, num_classes, 4, stride=2, bias=False)
        self.register_buffer("bgr_mean", torch.tensor(BGR_MEAN)[:, None, None], persistent=False)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name, layer in self.named_children():
            if isinstance(layer, nn.ConvTranspose2d):
                fill_bilinear(layer)
            elif name.startswith("score"):
                nn.init.zeros_(cast(Tensor, layer.weight))
                nn.init.zeros_(cast(Tensor, layer.bias))
            elif isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, image: Tensor) -> Tensor:
        """Class scores (N, num_classes, H, W) of an image (N, 3, H, W), RGB in [0, 255]."""
        features = image.flip(1) - cast(Tensor, self.bgr_mean)
        pooled: list[Tensor] = []
        for stage, (_, depth) in enumerate(_STAGES, start=1):
            layers = [f"{kind}{stage}_{number}" for number in range(1, depth + 1) for kind in ("conv", "relu")]
            features = _through(self, [*layers, f"pool{stage}"], features)
            pooled.append(features)
        top = _through(self, ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "score_fr"], features)
        scale3, scale4 = self.score_scales
        scores = self.upscore2(top)
        scores = scores + _cropped(self.score_pool4(pooled[3] * scale4), _CROPS["score_pool4"], scores)
        scores = self.upscore_pool4(scores)
        scores = scores + _cropped(self.score_pool3(pooled[2] * scale3), _CROPS["score_pool3"], scores)
        return _cropped(self.upscore8(scores), _CROPS["upscore8"], image)


def _through(model: nn.Module, names: Sequence[str], features: Tensor) -> Tensor:
    for name in names:
        features = getattr(model, name)(features)
    return features


def _cropped(scores: Tensor, offset: int, like: Tensor) -> Tensor:
    return scores[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]].contiguous()
