"""The statistics of a comparison: the unit is the round, one number a process.

Samples inside one process share its memory layout, its clock and its neighbours, so that they say little about the
next process. What enters here is therefore one number a round. Paired rounds (both sides measured in turns) give one
log-ratio each: Wilcoxon's signed-rank test, exact for few rounds, with the estimate that belongs to it, the median of
all pairwise means (Hodges and Lehmann 1963), which a few disturbed rounds hardly move. Unpaired rounds give
Mann-Whitney's test and the median of all pairwise differences. Intervals are percentiles of a bootstrap over rounds,
widened for few rounds as Hesterberg proposes ("What Teachers Should Know About the Bootstrap", The American
Statistician 69, 2015: the expanded percentile interval), since the plain one is too narrow there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05
"""Level of the tests (after Holm's correction over cases), and one minus the confidence of the intervals."""

FEWEST_ROUNDS = 5
"""With fewer there is no interval: the widest that a bootstrap can give covers less than 90 %."""

RESAMPLES = 2000
_SEED = 20190501
_EXACT_UP_TO = 50
_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """How NEW's times relate to BASE's in one case.

    Attributes:
        ratio: NEW / BASE; above 1 NEW is slower.
        low: Lower end of the interval of `ratio`.
        high: Upper end.
        p: Two-sided p-value of "no difference", not corrected.
        smallest_p: The least value that `p` can take with so few rounds.
    """

    ratio: float
    low: float
    high: float
    p: float
    smallest_p: float


def paired_effect(log_ratios: Sequence[float], *, level: float = LEVEL) -> Effect:
    """Effect from paired rounds.

    Args:
        log_ratios: For each round, log(median of NEW / median of BASE); at least `FEWEST_ROUNDS`.
        level: One minus the confidence of the interval.

    Raises:
        ValueError: there are fewer rounds, or a value is not finite.
    """
    values = _checked(log_ratios, "log-ratios")
    low, high = _interval((values,), pseudo_median, len(values), level)
    ratio = float(pseudo_median(values))
    smallest = smallest_paired_p(len(values))
    return Effect(math.exp(ratio), math.exp(low), math.exp(high), signed_rank_p(values), smallest)


def with_slowdown(effect: Effect, log_ratios: Sequence[float], slowdown: float) -> Effect:
    """What `paired_effect` gives when every round of NEW is slower by a factor; estimate and interval just shift.

    Args:
        effect: Of `log_ratios`.
        log_ratios: As for `paired_effect`.
        slowdown: The factor, such as 1.05.
    """
    p = signed_rank_p(np.asarray(log_ratios, dtype=np.float64) + math.log(slowdown))
    return Effect(effect.ratio * slowdown, effect.low * slowdown, effect.high * slowdown, p, effect.smallest_p)


def signed_rank_p(log_ratios: _Values) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; exact up to 50 rounds without ties."""
    return 1.0 if not log_ratios.any() else float(stats.wilcoxon(log_ratios).pvalue)


def unpaired_effect(base: Sequence[float], new: Sequence[float], *, level: float = LEVEL) -> Effect:
    """Effect from the rounds of two runs that were made at different times.

    Args:
        base: For each round of BASE, the logarithm of its median; at least `FEWEST_ROUNDS`.
        new: As `base`, for NEW.
        level: One minus the confidence of the interval.

    Raises:
        ValueError: there are fewer rounds, or a value is not finite.
    """
    before, after = _checked(base, "rounds of BASE"), _checked(new, "rounds of NEW")
    low, high = _interval((before, after), pairwise_shift, min(len(before), len(after)), level)
    shift = float(pairwise_shift(before, after))
    ties = len(np.unique(np.concatenate([before, after]))) < len(before) + len(after)
    exact = not ties and max(len(before), len(after)) <= _EXACT_UP_TO
    p = float(stats.mannwhitneyu(after, before, method="exact" if exact else "asymptotic").pvalue)
    smallest = smallest_unpaired_p(len(before), len(after))
    return Effect(math.exp(shift), math.exp(low), math.exp(high), p, smallest)


def pseudo_median(values: Any, axis: int = -1) -> Any:
    """The median of the means of all pairs of values, each value with itself among them, along an axis."""
    values = np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1)
    first, second = np.triu_indices(values.shape[-1])
    return np.median((values[..., first] + values[..., second]) / 2, axis=-1)


def pairwise_shift(base: Any, new: Any, axis: int = -1) -> Any:
    """The median of all differences of a value of `new` and one of `base`, along an axis."""
    base, new = (np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1) for values in (base, new))
    differences = new[..., :, None] - base[..., None, :]
    return np.median(differences.reshape(*differences.shape[:-2], -1), axis=-1)


def smallest_paired_p(rounds: int) -> float:
    """The least two-sided p-value of a signed-rank or sign-flip test: all rounds on one side."""
    return min(1.0, 2.0 ** (1 - rounds))


def smallest_unpaired_p(base: int, new: int) -> float:
    """The least two-sided p-value of Mann-Whitney's test: no overlap of the two sides."""
    return min(1.0, 2.0 / math.comb(base + new, new))


def rounds_needed(cases: int, *, paired: bool, level: float = LEVEL) -> int:
    """The fewest rounds (of each side) with which one of `cases` can be significant after Holm's correction."""
    rounds = FEWEST_ROUNDS
    while max(cases, 1) * (smallest_paired_p(rounds) if paired else smallest_unpaired_p(rounds, rounds)) > level:
        rounds += 1
    return rounds


def _checked(values: Sequence[float], what: str) -> _Values:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < FEWEST_ROUNDS:
        raise ValueError(f"{what}: got {array.size}, expected at least {FEWEST_ROUNDS}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what}: got {array.tolist()}, expected finite numbers")
    return array


def _interval(data: tuple[_Values, ...], statistic: Any, rounds: int, level: float) -> tuple[float, float]:
    """The expanded percentile interval of a bootstrap over rounds; seeded, so that a table reads the same twice."""
    reach = float(stats.t.ppf(1 - level / 2, rounds - 1)) * math.sqrt(rounds / (rounds - 1))
    confidence = 1 - 2 * float(stats.norm.sf(reach))
    found = stats.bootstrap(
        data, statistic, n_resamples=RESAMPLES, vectorized=True, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(_SEED),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
