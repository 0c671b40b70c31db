"""The project's performance targets for a CPU backend, as data, and whether measured figures meet them.

They are shares of the FMA peak (or of a floor) and ratios to plain torch operators, measured side by side in one run
on a machine with two cores: absolute times drift by tens of percent from day to day, these do not.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .cases import DIRECTIONS, Direction

Comparison = Literal[">=", "<="]
Key = tuple[str, str, str]
"""Workload, direction, name of the figure."""

WORKLOADS = ("W1", "W2", "W3", "W4", "W4b", "W5")
UPSAMPLING = "PJU8"
"""PacJointUpsample x8 beside its plain twin."""

_HOLDS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        workload: Name of a case.
        direction: Of the case.
        figure: Name of the measured figure.
        comparison: How the figure is to lie to the bar.
        bar: In the figure's unit.
    """

    workload: str
    direction: Direction
    figure: str
    comparison: Comparison
    bar: float

    @property
    def key(self) -> Key:
        """What the figure is found under."""
        return self.workload, self.direction, self.figure


@dataclass(frozen=True)
class Judgement:
    """A target and the measured value; `value` is None where nothing was measured."""

    target: Target
    value: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where nothing was measured."""
        if self.value is None:
            return None
        return bool(_HOLDS[self.target.comparison](self.value, self.target.bar))


def judge(figures: Mapping[Key, float], targets: Iterable[Target]) -> list[Judgement]:
    """Each target beside the measured figure of its key."""
    return [Judgement(target, figures.get(target.key)) for target in targets]


def _both(workload: str, figure: str, comparison: Comparison, forward: float, backward: float) -> list[Target]:
    bars = zip(DIRECTIONS, (forward, backward), strict=True)
    return [Target(workload, direction, figure, comparison, bar) for direction, bar in bars]


def _everywhere(figure: str, comparison: Comparison, bar: float) -> list[Target]:
    return [target for workload in WORKLOADS for target in _both(workload, figure, comparison, bar, bar)]


TARGETS: tuple[Target, ...] = (
    *_both("W1", "percent_of_fma_peak", ">=", 82, 74),
    *_both("W1", "ratio_to_plain", "<=", 1.0, 1.05),
    *_both("W2", "percent_of_fma_peak", ">=", 78, 72),
    *_both("W2", "ratio_to_plain", "<=", 0.9, 1.1),
    *_both("W5", "percent_of_fma_peak", ">=", 70, 58),
    *_both("W5", "ratio_to_plain", "<=", 0.45, 0.7),
    *_both("W3", "percent_of_useful_floor", ">=", 60, 45),
    *_both("W3", "times_faster_than_against", ">=", 20, 20),
    Target("W3", "forward", "times_faster_than_full_crf", ">=", 2),
    Target("W3", "forward", "lattice_times_faster_on_1_thread", ">=", 1),
    Target("W3", "forward", "lattice_times_faster_on_2_threads", ">=", 1.6),
    Target("W4", "forward", "percent_of_pooling_floor", ">=", 45),
    Target("W4", "forward", "times_faster_than_against", ">=", 85),
    Target("W4b", "forward", "percent_of_pooling_floor", ">=", 70),
    Target("W4b", "forward", "times_faster_than_against", ">=", 180),
    *_everywhere("extra_memory_mb_per_thread", "<=", 4),
    *_both("W1", "memory_growth_with_height", "<=", 1.1, 1.1),
    *_both("W1", "memory_growth_with_taps", "<=", 1.8, 1.8),
    *_both("W1", "speedup_of_2_threads", ">=", 1.85, 1.85),
    *_both("W1", "spread_over_image_sizes_percent", "<=", 15, 15),
    *_both("W1", "avx2_ratio_to_avx512", "<=", 1.25, 1.4),
    *_everywhere("relative_error", "<=", 1e-6),
    *_both(UPSAMPLING, "ratio_to_plain", "<=", 1.0, 1.15),
    *_both(UPSAMPLING, "memory_share_of_against", "<=", 0.2, 0.2),
)
"""Of the issues on the native backend, the lattice and joint upsampling.

`pacbench bench --interleaved` prints them beside what it measured.
"""
