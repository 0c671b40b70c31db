"""The numerical derivative along a direction, by which slow backends are judged: right is green, wrong is red."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pacbench.suites.gradients.numerical import assert_derivative_along_a_direction


class _Product(torch.autograd.Function):
    """Of two tensors; one entry of the first one's gradient is off by a part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, off: float) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.off = off
        return x * y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y = ctx.saved_tensors
        to_x = grad * y
        to_x[0, 3] *= 1 + ctx.off
        return to_x, grad * x, None


def _tensors() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(4, 50, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    return x, y


def test_right_is_green() -> None:
    assert_derivative_along_a_direction(lambda x, y: _Product.apply(x, y, 0.0), _tensors(), "product")


def test_one_wrong_entry_is_red() -> None:
    with pytest.raises(AssertionError, match=r"^product: got a derivative of .*, expected .*: error"):
        assert_derivative_along_a_direction(lambda x, y: _Product.apply(x, y, 0.01), _tensors(), "product")


def test_a_gradient_that_is_not_there_is_zero() -> None:
    assert_derivative_along_a_direction(lambda x, y: x.exp(), _tensors(), "exponential")
    with pytest.raises(AssertionError, match="sum: got a derivative of"):
        assert_derivative_along_a_direction(lambda x, y: x + y.detach(), _tensors(), "sum")
