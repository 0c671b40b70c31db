"""Rule 3, point by point."""

from __future__ import annotations

import pytest

from pacbench.comparing.round_statistics import Effect
from pacbench.comparing.verdicts import verdict


@pytest.mark.parametrize(
    ("ratio", "low", "high", "p", "expected"),
    [
        (1.10, 1.05, 1.15, 0.01, "slower"),
        (1 / 1.10, 1 / 1.15, 1 / 1.05, 0.01, "faster"),
        (1.10, 1.05, 1.15, 0.06, "ambiguous"),  # not significant
        (1.10, 0.99, 1.15, 0.01, "ambiguous"),  # the interval holds 1
        (1.0301, 1.01, 1.06, 0.01, "slower"),
        (1.029, 1.01, 1.06, 0.01, "ambiguous"),  # too small an effect, and not within 3 %
        (1.01, 1.005, 1.02, 0.001, "same"),  # significant, and of no size
        (1.00, 0.98, 1.02, 0.9, "same"),
        (1.00, 0.96, 1.02, 0.9, "ambiguous"),
        (1.00, 0.98, 1.04, 0.9, "ambiguous"),
        (0.90, 0.80, 1.001, 0.01, "ambiguous"),
    ],
)
def test_rule_3(ratio: float, low: float, high: float, p: float, expected: str):
    assert verdict(Effect(ratio, low, high, p, 0.001), p) == expected
    mirrored = {"slower": "faster", "faster": "slower"}.get(expected, expected)
    assert verdict(Effect(1 / ratio, 1 / high, 1 / low, p, 0.001), p) == mirrored
