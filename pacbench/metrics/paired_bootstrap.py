"""How sure a difference in mean IoU is: a paired bootstrap over images (Efron & Tibshirani, 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RESAMPLES = 2000
LEVEL = 0.95
_AT_ONCE = 64


@dataclass(frozen=True)
class Interval:
    """A difference of mean IoU, 0 to 1, and the interval that a percentile bootstrap gives it."""

    difference: float
    low: float
    high: float


def miou_difference_interval(
    confusions: Tensor, baseline: Tensor, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """The interval of the difference in mean IoU between two methods on the same images.

    Images are drawn with replacement, the same for both; each draw's confusion matrices are summed and give a mean
    IoU over the classes in the truth of that draw.

    Args:
        confusions: int64 (N, C, C), one matrix for each image, rows true, columns predicted.
        baseline: those of the other method for the same images in the same order.
        resamples: number of draws.
        level: how much of the draws' differences the interval holds.
        seed: of the draws.

    Returns:
        The difference on all images, with the interval; NaN for its ends where there is one image only.

    Raises:
        ValueError: shapes that are not (N, C, C) or differ, no image, or a truth that differs.
    """
    return mean_miou_difference_interval([(confusions, baseline)], resamples=resamples, level=level, seed=seed)


def mean_miou_difference_interval(
    pairs: Sequence[tuple[Tensor, Tensor]], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Interval:
    """As `miou_difference_interval`, of the mean difference over pairs: trainings of both methods from several seeds.

    Every draw of images is the same for all pairs. The interval says what other images would change, not what other
    seeds would.

    Raises:
        ValueError: no pair, as there, or pairs of different numbers of images.
    """
    if not pairs or len({len(own) for own, _ in pairs}) > 1:
        raise ValueError(
            f"mean_miou_difference_interval: got pairs of {[len(own) for own, _ in pairs]} images, expected one pair "
            "at least, and as many images in all"
        )
    found = [_differences(own, other, resamples, seed) for own, other in pairs]
    difference = sum(whole for whole, _ in found) / len(found)
    if not len(found[0][1]):
        return Interval(difference, float("nan"), float("nan"))
    tail = (1 - level) / 2
    draws = torch.stack([drawn for _, drawn in found]).mean(0)
    low, high = draws.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(difference, low, high)


def _differences(confusions: Tensor, baseline: Tensor, resamples: int, seed: int) -> tuple[float, Tensor]:
    """The difference on all images, and that of each draw of them; no draw of one image."""
    if confusions.dim() != 3 or confusions.shape != baseline.shape or not len(confusions):
        raise ValueError(
            f"miou_difference_interval: got confusion matrices {tuple(confusions.shape)} and {tuple(baseline.shape)}, "
            "expected both (N, C, C), N at least 1"
        )
    both = torch.stack([confusions, baseline]).double()
    if not torch.equal(both[0].sum(2), both[1].sum(2)):
        raise ValueError(
            "miou_difference_interval: got matrices whose rows have other sums, expected the same truth image by image"
        )
    whole = _mean_iou(both.sum(1))
    difference = float(whole[0] - whole[1])
    count = len(confusions)
    if count < 2:
        return difference, whole.new_zeros(0)
    generator = torch.Generator().manual_seed(seed)
    differences = []
    for start in range(0, resamples, _AT_ONCE):
        drawn = torch.randint(count, (min(_AT_ONCE, resamples - start), count), generator=generator)
        times = torch.zeros(len(drawn), count, dtype=torch.float64).scatter_add_(
            1, drawn, torch.ones_like(drawn).double()
        )
        summed = torch.einsum("rn,mncd->mrcd", times, both)
        iou = _mean_iou(summed)
        differences.append(iou[0] - iou[1])
    return difference, torch.cat(differences)


def _mean_iou(counts: Tensor) -> Tensor:
    """Mean IoU of confusion matrices (…, C, C), over the classes in the truth of each."""
    hits, true, predicted = counts.diagonal(dim1=-2, dim2=-1), counts.sum(-1), counts.sum(-2)
    return torch.where(true > 0, hits / (true + predicted - hits), torch.nan).nanmean(-1)
