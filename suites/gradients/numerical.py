"""Numerical derivatives along one random direction, for a backend whose every call is slow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

STEP = 1e-6
TOLERANCE = 1e-6
"""Largest difference from the numerical derivative, relative to the size of the output and of its change. Where the
derivatives are right it is below 2e-8 in every call of the gate."""


def assert_derivative_along_a_direction(
    function: Callable[..., Tensor], values: Sequence[Tensor], what: str, tolerance: float = TOLERANCE
) -> None:
    """Assert that a random sum of the output changes as the gradients say, by a central difference in float64.

    Three calls and one backward pass, where `torch.autograd.gradcheck` makes some ten for each argument, and thousands
    to name the entry that is wrong. Every entry of the Jacobian has a random weight in the sum.

    Args:
        function: Of the values.
        values: Tensors in float64 that require gradients; all of them move at once.
        what: Whose derivative it is, for the message.
        tolerance: See TOLERANCE.
    """
    generator = torch.Generator().manual_seed(17)

    def random(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)

    directions = [random(value) for value in values]
    output = function(*values)
    weights = random(output)
    gradients = torch.autograd.grad(output, list(values), weights, allow_unused=True, materialize_grads=True)
    analytic = sum(float((gradient * along).sum()) for gradient, along in zip(gradients, directions, strict=True))
    with torch.no_grad():
        ahead, behind = (
            function(*(value + step * along for value, along in zip(values, directions, strict=True)))
            for step in (STEP, -STEP)
        )
    change = (ahead - behind) / (2 * STEP)
    numerical = float((change * weights).sum())
    size = float(change.norm()) + float(output.detach().norm())
    error = abs(analytic - numerical) / max(size, 1e-30)
    assert error <= tolerance, (
        f"{what}: got a derivative of {analytic:.9g} along a random direction, expected {numerical:.9g}: "
        f"error {error:.1e} of the output, expected at most {tolerance:.0e}"
    )
