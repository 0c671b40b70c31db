"""The paired bootstrap of a difference in mean IoU, beside loops and cases known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pacbench.metrics.mean_iou import mean_iou_of
from pacbench.metrics.paired_bootstrap import mean_miou_difference_interval, miou_difference_interval
from pacbench.metrics.segmentation_quality import SegmentationQuality


def matrices(seed: int, images: int = 7, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Two methods' matrices of the same truth, in which not every image has every class."""
    rng = np.random.default_rng(seed)
    own, other = np.zeros((2, images, classes, classes), np.int64)
    for image in range(images):
        for label in range(classes):
            pixels = int(rng.integers(0, 3)) * 20
            own[image, label] = rng.multinomial(pixels, np.roll([0.7, 0.1, 0.1, 0.1], label))
            other[image, label] = rng.multinomial(pixels, np.roll([0.4, 0.2, 0.2, 0.2], label))
    return torch.from_numpy(own), torch.from_numpy(other)


def test_beside_a_loop_over_the_same_kind_of_draws() -> None:
    own, other = matrices(0)
    found = miou_difference_interval(own, other, resamples=4000)
    assert found.difference == pytest.approx(mean_iou_of(own.sum(0)).mean - mean_iou_of(other.sum(0)).mean)
    rng = np.random.default_rng(5)
    draws = []
    for _ in range(4000):
        chosen = torch.from_numpy(rng.integers(0, len(own), len(own)))
        draws.append(mean_iou_of(own[chosen].sum(0)).mean - mean_iou_of(other[chosen].sum(0)).mean)
    low, high = np.percentile(draws, [2.5, 97.5])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.08 * width)
    assert found.high == pytest.approx(high, abs=0.08 * width)
    assert found.low < found.difference < found.high


def test_two_images_by_hand() -> None:
    """Image A: right against half right (IoU 1 and 1/3 of both classes); image B: no difference.

    Half of the draws hold both images, a quarter A twice, a quarter B twice; so the 95 % interval reaches from
    B twice (0) to A twice (2/3).
    """
    own = torch.tensor([[[4, 0], [0, 4]], [[2, 2], [2, 2]]])
    other = torch.tensor([[[2, 2], [2, 2]], [[2, 2], [2, 2]]])
    found = miou_difference_interval(own, other)
    assert found.difference == pytest.approx(6 / 10 - 1 / 3)
    assert found.low == pytest.approx(0)
    assert found.high == pytest.approx(2 / 3)


def test_the_same_method_differs_by_nothing_and_a_seed_repeats() -> None:
    own, other = matrices(1)
    same = miou_difference_interval(own, own)
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert miou_difference_interval(own, other, seed=3) == miou_difference_interval(own, other, seed=3)
    assert miou_difference_interval(own, other, seed=3) != miou_difference_interval(own, other, seed=4)


def test_pairing_matters() -> None:
    """Images that differ much among themselves, methods that differ by the same little in each: a narrow interval."""
    hits = torch.tensor([10, 40, 60, 90])
    own = torch.stack([torch.tensor([[h + 5, 95 - h], [95 - h, h + 5]]) for h in hits.tolist()])
    other = torch.stack([torch.tensor([[h, 100 - h], [100 - h, h]]) for h in hits.tolist()])
    found = miou_difference_interval(own, other)
    assert found.low > 0
    assert found.high - found.low < 0.04


def test_pairs_of_trainings_are_averaged_draw_by_draw() -> None:
    """Two pairs that differ by opposite amounts differ by nothing in every draw; a pair twice is that pair."""
    own, other = matrices(4)
    opposite = mean_miou_difference_interval([(own, other), (other, own)])
    assert [opposite.difference, opposite.low, opposite.high] == pytest.approx([0, 0, 0])
    once = miou_difference_interval(own, other)
    twice = mean_miou_difference_interval([(own, other), (own, other)])
    assert [twice.difference, twice.low, twice.high] == pytest.approx([once.difference, once.low, once.high])
    with pytest.raises(ValueError, match=r"got pairs of \[7, 6\] images, expected one pair at least"):
        mean_miou_difference_interval([(own, other), (own[1:], other[1:])])
    with pytest.raises(ValueError, match="expected one pair at least"):
        mean_miou_difference_interval([])


def test_one_image_has_no_interval() -> None:
    own, other = matrices(2, images=1)
    found = miou_difference_interval(own, other)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_what_cannot_be_paired_is_refused() -> None:
    own, other = matrices(3)
    with pytest.raises(ValueError, match="miou_difference_interval: got matrices whose rows have other sums"):
        miou_difference_interval(own, other.flip(0))
    with pytest.raises(ValueError, match=r"got confusion matrices \(7, 4, 4\) and \(6, 4, 4\), expected both"):
        miou_difference_interval(own, other[1:])


def test_quality_of_a_row_by_hand() -> None:
    truth = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 255]])
    right, wrong = truth.clamp(max=1), torch.zeros_like(truth)
    quality = SegmentationQuality(3)
    first = quality.add(right, truth, wrong)
    assert (first.miou, first.pixel_accuracy) == (1.0, 1.0)
    assert "miou_gain_low" not in quality.metrics()  # one image
    second = quality.add(wrong, truth, wrong)
    assert second.pixel_accuracy == pytest.approx(4 / 7)
    found = quality.metrics()
    assert found["pixel_accuracy"] == pytest.approx(11 / 14)
    assert found["miou"] == pytest.approx((8 / 11 + 3 / 6) / 2)
    assert found["trimap_miou_2"] == pytest.approx(
        (4 / 7 + 3 / 6) / 2
    )  # 2, 3 of class 0; 4, 5 and 6, beside void, of 1
    assert (found["miou_gain_low"], found["miou_gain_high"]) == (0, pytest.approx(1 - 2 / 7))
