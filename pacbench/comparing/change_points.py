"""Where the level of a series changes for good: ruptures' exact search (PELT) with a penalty by the series' own noise.

A change takes at least `FEWEST_RUNS` runs on each side: a single run that is off is no change of level. `pacbench
compare` is what judges one run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from .verdicts import LEAST_RATIO

FEWEST_RUNS = 2
_LEAST_NOISE = 0.002
_PENALTY = 6.0
"""Times log(n) times the variance; more than the Bayesian 2, since the variance is estimated from few runs."""

_NORMAL = 1.4826


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of level.

    Attributes:
        place: Index of the first run of the new level.
        ratio: New level / old level; above 1 slower.
    """

    place: int
    ratio: float

    @property
    def slower(self) -> bool:
        """Whether it is a regression."""
        return self.ratio > 1


def change_points(logs: Sequence[float]) -> list[ChangePoint]:
    """Changes of level of at least 3 %, oldest first.

    Args:
        logs: For each run, the logarithm of its median, oldest first.
    """
    import ruptures

    values = np.asarray(logs, dtype=np.float64)
    if len(values) < 2 * FEWEST_RUNS:
        return []
    penalty = _PENALTY * math.log(len(values)) * _noise(values) ** 2
    without_spikes = median_filter(values, size=3, mode="mirror")  # keeps steps, no single run
    search = ruptures.Pelt(model="l2", min_size=FEWEST_RUNS, jump=1).fit(without_spikes[:, None])
    ends = search.predict(pen=penalty)
    bounds = [0, *ends]
    levels = [float(np.median(values[start:end])) for start, end in zip(bounds, ends, strict=False)]
    found = []
    level = levels[0]
    for place, after in zip(ends[:-1], levels[1:], strict=True):
        if abs(after - level) >= math.log(LEAST_RATIO):
            found.append(ChangePoint(int(place), math.exp(after - level)))
            level = after
    return found


def _noise(values: NDArray[np.float64]) -> float:
    """Standard deviation of one run, from the differences of neighbours, which hardly see changes of level."""
    differences = np.diff(values)
    return max(_LEAST_NOISE, _NORMAL * float(np.median(np.abs(differences))) / math.sqrt(2))
