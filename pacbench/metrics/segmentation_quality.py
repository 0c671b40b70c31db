"""Everything that a row of a segmentation table says about quality, beside a baseline on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .boundary_iou import WIDTHS, boundary_distance, trimap
from .mean_iou import MeanIoU, MeanIoUMeter, mean_iou_of
from .paired_bootstrap import miou_difference_interval

_KEPT = 128
"""Images whose boundaries are remembered: to find them takes longer than all else that is done with a prediction."""


@dataclass(frozen=True)
class ImageQuality:
    """One image: its mean IoU and pixel accuracy, 0 to 1; NaN where it has no pixel to evaluate."""

    miou: float
    pixel_accuracy: float


class SegmentationQuality:
    """Sums up predictions image by image.

    Args:
        num_classes: number of classes.
        widths: of the bands around boundaries, in pixels.
    """

    def __init__(self, num_classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        self.widths = widths
        self.num_classes = num_classes
        self._whole = MeanIoUMeter(num_classes)
        self._bands = {width: MeanIoUMeter(num_classes) for width in widths}
        self._own: list[Tensor] = []
        self._baseline: list[Tensor] = []

    def add(self, prediction: Tensor, truth: Tensor, baseline: Tensor | None = None) -> ImageQuality:
        """Add one image.

        Args:
            prediction: class indices (H, W).
            truth: labels (H, W), 255 for void.
            baseline: what the baseline predicts (H, W); None, for all images alike, where there is none.
        """
        confusion = self._whole.add(prediction, truth)
        self._own.append(confusion)
        if baseline is not None:
            self._baseline.append(MeanIoUMeter(self.num_classes).add(baseline, truth))
        distance = _distance(truth)
        for width, meter in self._bands.items():
            meter.add(prediction, trimap(truth, width, distance))
        alone = mean_iou_of(confusion)
        return ImageQuality(alone.mean, alone.pixel_accuracy)

    @property
    def confusions(self) -> Tensor:
        """One matrix for each image in the order in which they were added, int64 (N, C, C)."""
        return torch.stack(self._own)

    def result(self) -> MeanIoU:
        """Mean IoU over the whole set, and each class's."""
        return self._whole.result()

    def metrics(self) -> Mapping[str, float]:
        """By name: `miou`, `pixel_accuracy`, `trimap_miou_2` and so on, 0 to 1.

        With a baseline and two images or more, the ends of the 95 % interval of the difference in mean IoU:
        `miou_gain_low` and `miou_gain_high`.
        """
        whole = self.result()
        found = {"miou": whole.mean, "pixel_accuracy": whole.pixel_accuracy}
        found |= {f"trimap_miou_{width}": meter.result().mean for width, meter in self._bands.items()}
        if len(self._baseline) == len(self._own) >= 2:
            interval = miou_difference_interval(torch.stack(self._own), torch.stack(self._baseline))
            found |= {"miou_gain_low": interval.low, "miou_gain_high": interval.high}
        return found


def _distance(truth: Tensor) -> Tensor:
    """`boundary_distance`, float32, computed once for an image: every row has the same ones."""
    labels = truth.to("cpu", torch.int64).contiguous().numpy()
    return torch.from_numpy(_known_distance(labels.tobytes(), labels.shape))


@lru_cache(maxsize=_KEPT)
def _known_distance(labels: bytes, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    truth = torch.from_numpy(np.frombuffer(labels, np.int64).reshape(shape).copy())
    return boundary_distance(truth).numpy().astype(np.float32)
