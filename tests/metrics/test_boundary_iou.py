"""The trimap's mean IoU, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pacbench.metrics.boundary_iou import boundary_distance, trimap
from pacbench.metrics.mean_iou import mean_iou


def test_distances_by_hand() -> None:
    truth = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    assert boundary_distance(truth).tolist() == [[3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 4.0]]
    corner = torch.zeros(3, 3, dtype=torch.int64)
    corner[0, 0] = 1
    expected = [[1, 1, 2], [1, math.sqrt(2), math.sqrt(5)], [2, math.sqrt(5), math.sqrt(8)]]
    torch.testing.assert_close(boundary_distance(corner), torch.tensor(expected, dtype=torch.float64))


def test_a_void_rim_is_a_boundary_and_is_not_evaluated() -> None:
    truth = torch.tensor([[0, 0, 0, 255, 255, 1, 1, 1, 1]])
    assert trimap(truth, 2).tolist() == [[255, 0, 0, 255, 255, 1, 1, 255, 255]]


def test_the_image_border_is_no_boundary() -> None:
    assert trimap(torch.full((4, 5), 2), 8).unique().tolist() == [255]


def test_mean_iou_in_the_band_by_hand() -> None:
    truth = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]])
    prediction = torch.tensor([[1, 0, 0, 0, 0, 1, 1, 0]])  # wrong at the ends and beside the boundary
    assert mean_iou(prediction, trimap(truth, 1), 2).mean == pytest.approx((1 / 2 + 0) / 2)  # pixels 3 and 4
    assert mean_iou(prediction, trimap(truth, 2), 2).mean == pytest.approx((2 / 3 + 1 / 2) / 2)  # pixels 2 to 5
    assert mean_iou(prediction, trimap(truth, 9), 2).mean == mean_iou(prediction, truth, 2).mean


def test_what_is_no_label_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"boundary_distance: got a truth of shape \(1, 2, 2\), expected \(H, W\)"):
        boundary_distance(torch.zeros(1, 2, 2))
