"""Mean IoU against a matrix counted by hand, and the case in which torchmetrics' own Jaccard index differs."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

from pacbench.metrics import mean_iou as module
from pacbench.metrics.mean_iou import MeanIoUMeter, mean_iou


def _by_hand(prediction: np.ndarray, truth: np.ndarray, classes: int) -> tuple[float, np.ndarray]:
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for predicted, true in zip(prediction.ravel(), truth.ravel(), strict=True):
        if true != 255:
            matrix[true, predicted] += 1
    scores = []
    for label in range(classes):
        if matrix[label].sum() > 0:
            union = matrix[label].sum() + matrix[:, label].sum() - matrix[label, label]
            scores.append(matrix[label, label] / union)
    return float(np.mean(scores)), matrix


def _random_set(seed: int, classes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(4):
        size = tuple(rng.integers(5, 15, 2))
        truth = rng.integers(0, classes - 1, size)  # the last class is never true
        prediction = np.where(rng.uniform(size=size) < 0.6, truth, rng.integers(0, classes, size))
        truth = np.where(rng.uniform(size=size) < 0.1, 255, truth)
        images.append((prediction, truth))
    return images


@pytest.mark.parametrize("seed", range(4))
def test_one_matrix_over_the_whole_set_equals_the_count_by_hand(seed: int) -> None:
    images = _random_set(seed, 6)
    meter = MeanIoUMeter(6)
    for prediction, truth in images:
        meter.add(torch.from_numpy(prediction), torch.from_numpy(truth))
    everything = [np.concatenate([image[k].ravel() for image in images]) for k in (0, 1)]
    expected, matrix = _by_hand(everything[0], everything[1], 6)
    result = meter.result()
    assert result.mean == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(result.confusion.numpy(), matrix)
    assert result.pixel_accuracy == pytest.approx(np.trace(matrix) / matrix.sum(), abs=1e-12)
    assert result.present == (0, 1, 2, 3, 4)
    assert math.isnan(result.per_class[5])
    assert result.mean == pytest.approx(np.mean(result.per_class[:5]), abs=1e-12)


def test_stray_pixels_of_an_absent_class_cost_only_themselves() -> None:
    truth = torch.zeros(10, 10, dtype=torch.int64)
    truth[5:] = 1
    prediction = truth.clone()
    prediction[0, 0] = 7
    result = mean_iou(prediction, truth, num_classes=8)
    assert result.mean == pytest.approx((49 / 50 + 1) / 2)
    assert result.present == (0, 1)
    naive = float(multiclass_jaccard_index(prediction, truth, num_classes=8, ignore_index=255))
    assert naive < 0.67


def test_a_class_that_is_true_but_never_predicted_counts_as_zero() -> None:
    result = mean_iou(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 1, 1]), num_classes=3)
    assert result.per_class[:2] == (0.5, 0.0)
    assert result.mean == 0.25


def test_the_set_is_pooled_not_averaged_over_images() -> None:
    meter = MeanIoUMeter(2)
    meter.add(torch.zeros(10, dtype=torch.int64), torch.zeros(10, dtype=torch.int64))
    meter.add(torch.tensor([0, 1]), torch.tensor([1, 1]))
    assert meter.result().mean == pytest.approx((10 / 11 + 1 / 2) / 2)


def test_predictions_under_void_do_not_count_whatever_they_are() -> None:
    result = mean_iou(torch.tensor([0, 1, 200]), torch.tensor([0, 1, 255]), num_classes=2)
    assert result.mean == 1.0


def test_nothing_but_void_is_nan() -> None:
    result = mean_iou(torch.tensor([0, 1]), torch.tensor([255, 255]), num_classes=2)
    assert math.isnan(result.mean)
    assert math.isnan(result.pixel_accuracy)
    assert result.present == ()


def test_narrow_integer_types_are_accepted() -> None:
    truth = torch.tensor([0, 1, 255], dtype=torch.uint8)
    assert mean_iou(torch.tensor([0, 1, 0], dtype=torch.int32), truth, num_classes=2).mean == 1.0


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(3, 2, dtype=torch.int64), r"shape \(2, 3\), expected"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int64), "prediction of dtype torch.float32, expected integers"),
        (torch.tensor([0, 4]), torch.tensor([0, 1]), "prediction with values 0 to 4, expected 0 to 3"),
        (torch.tensor([0, 1]), torch.tensor([-1, 1]), "truth with values -1 to 1, expected 0 to 3"),
    ],
    ids=["shape", "dtype", "prediction", "truth"],
)
def test_wrong_arguments_are_named(prediction: torch.Tensor, truth: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_iou(prediction, truth, num_classes=4)


def test_meter_that_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="got 1 classes, expected 2 or more"):
        MeanIoUMeter(1)
    with pytest.raises(ValueError, match="got ignore_index 3, expected none of the 4 classes"):
        MeanIoUMeter(4, ignore_index=3)


def test_the_docstring_example_is_true() -> None:
    assert doctest.testmod(module).failed == 0
