"""Bootstrap intervals over images: how much a mean would vary had other images of their kind been drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 1904_05373

Statistic = Callable[..., Any]


@dataclass(frozen=True)
class Interval:
    """A figure of a set of images, and the interval in which it lies with `confidence`."""

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE


def interval(
    values: Sequence[float], statistic: Statistic = np.mean, *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Percentile bootstrap (`scipy.stats.bootstrap`) of a statistic of per-image values; always the same resamples.

    Args:
        values: One number an image.
        statistic: Of an array along its keyword argument `axis`; the mean if not given.
        confidence: Between 0 and 1.

    Returns:
        None for fewer than two images, or where a value is not finite: there is nothing to resample.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 1:
        raise ValueError(f"interval: got values of shape {given.shape}, expected one number an image")
    if given.size < 2 or not bool(np.isfinite(given).all()):
        return None
    found = stats.bootstrap(
        (given,), statistic, n_resamples=RESAMPLES, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(_SEED), vectorized=True,
    ).confidence_interval  # fmt: skip
    return Interval(float(statistic(given, axis=0)), float(found.low), float(found.high), confidence)


def paired_interval(
    values: Sequence[float], others: Sequence[float], statistic: Statistic = np.mean, *, confidence: float = CONFIDENCE
) -> Interval | None:
    """The interval of a statistic of differences, values - others, image by image; as for :func:`interval`.

    Images vary much more than methods do on one image, so that two methods are told apart by their differences only.

    Raises:
        ValueError: different numbers of images.
    """
    if len(values) != len(others):
        raise ValueError(f"paired_interval: got {len(values)} and {len(others)} images, expected the same ones")
    return interval(np.subtract(values, others).tolist(), statistic, confidence=confidence)
