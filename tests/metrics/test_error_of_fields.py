"""Root mean square error and endpoint error: values, unknown truth, masks."""

from __future__ import annotations

import math

import pytest
import torch

from pacbench.metrics.endpoint_error import endpoint_error
from pacbench.metrics.root_mean_square_error import root_mean_square_error

NAN, INF = math.nan, math.inf


def test_rmse_by_hand() -> None:
    assert root_mean_square_error(torch.tensor([1.0, 2.0, 7.0]), torch.tensor([1.0, 5.0, 3.0])) == pytest.approx(
        math.sqrt(25 / 3)
    )


def test_rmse_leaves_out_unknown_truth_and_masked_pixels() -> None:
    truth = torch.tensor([[1.0, NAN], [INF, 2.0]])
    prediction = torch.tensor([[2.0, 50.0], [NAN, 9.0]])
    mask = torch.tensor([[True, True], [True, False]])
    assert root_mean_square_error(prediction, truth, mask) == 1.0


def test_rmse_does_not_hide_a_prediction_that_is_nan() -> None:
    assert math.isnan(root_mean_square_error(torch.tensor([NAN, 1.0]), torch.tensor([1.0, 1.0])))


def test_rmse_of_nothing_is_nan() -> None:
    assert math.isnan(root_mean_square_error(torch.ones(3), torch.full((3,), NAN)))


def test_rmse_is_computed_in_float64() -> None:
    truth = torch.full((1000,), 60000.0, dtype=torch.float16)
    prediction = torch.full((1000,), 1000.0, dtype=torch.float16)
    assert root_mean_square_error(prediction, truth) == pytest.approx(59000, rel=1e-3)


def test_rmse_mask_broadcasts_over_channels() -> None:
    truth, prediction = torch.zeros(2, 1, 2), torch.tensor([[[1.0, 9.0]], [[1.0, 9.0]]])
    assert root_mean_square_error(prediction, truth, torch.tensor([[True, False]])) == 1.0


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3), "root_mean_square_error: got a mask of dtype torch.float32, expected torch.bool"),
        (torch.ones(2, dtype=torch.bool), r"got a mask of shape \(2,\), expected one that broadcasts to \(3,\)"),
    ],
    ids=["dtype", "shape"],
)
def test_wrong_mask_is_named(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        root_mean_square_error(torch.zeros(3), torch.zeros(3), mask)


def test_rmse_of_different_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got a prediction of shape \(1, 3\), expected that of the truth, \(3,\)"):
        root_mean_square_error(torch.zeros(1, 3), torch.zeros(3))


def test_endpoint_error_by_hand() -> None:
    truth = torch.zeros(2, 1, 3)
    prediction = torch.tensor([[[3.0, 0.0, 1.0]], [[4.0, 1.0, 0.0]]])
    assert endpoint_error(prediction, truth) == pytest.approx(7 / 3)
    assert endpoint_error(prediction, truth, torch.tensor([[True, True, False]])) == pytest.approx(3.0)


def test_endpoint_error_leaves_out_unknown_truth_and_hides_no_prediction() -> None:
    truth = torch.tensor([[[1e10, NAN, 0.0]], [[0.0, 0.0, 0.0]]])
    prediction = torch.tensor([[[5.0, 5.0, 2.0]], [[0.0, NAN, 0.0]]])
    assert endpoint_error(prediction, truth) == 2.0
    prediction[0, 0, 2] = INF
    assert endpoint_error(prediction, truth) == INF


def test_endpoint_error_of_what_is_no_flow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got a prediction of shape \(3, 4, 4\) .* expected both \(..., 2, H, W\)"):
        endpoint_error(torch.zeros(3, 4, 4), torch.zeros(3, 4, 4))
