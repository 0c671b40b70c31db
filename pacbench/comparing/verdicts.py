"""Rule 3: a speed claim needs significance and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from .round_statistics import LEVEL, Effect

Verdict = Literal["faster", "same", "slower", "ambiguous"]

LEAST_RATIO = 1.03
"""A smaller difference is none that is worth a verdict."""


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def verdict(effect: Effect, corrected_p: float, *, level: float = LEVEL) -> Verdict:
    """The verdict on NEW.

    ``slower``: significant, the whole interval above 1, the ratio at least `LEAST_RATIO`. ``faster``: likewise.
    ``same``: the whole interval within ± 3 %. ``ambiguous``: all else.

    Args:
        effect: Ratio and interval.
        corrected_p: The p-value after Holm's correction over all cases of the comparison.
        level: What `corrected_p` must not exceed.
    """
    edge = math.log(LEAST_RATIO)
    ratio, low, high = (math.log(value) for value in (effect.ratio, effect.low, effect.high))
    significant = corrected_p <= level
    if significant and low > 0 and ratio >= edge:
        return "slower"
    if significant and high < 0 and ratio <= -edge:
        return "faster"
    if -edge <= low and high <= edge:
        return "same"
    return "ambiguous"
