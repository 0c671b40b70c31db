"""How a window walks along each axis: the numbers that kernels are specialised on (`kernels/walking.py`)."""

from __future__ import annotations

import math
from typing import NamedTuple

from pacbench.geometry import Window


class AxisWalk(NamedTuple):
    """Along one axis, target pixel y meets with tap t the source pixel (y · mul + t · step + offset) / div.

    The adapting kernel's fixed feature lies at y · fixed_mul + fixed_offset of its image, the moving one at
    y · moving_mul + t · moving_step + moving_offset; `period` is the distance of taps that meet pixels.
    """

    taps: int
    mul: int
    div: int
    step: int
    offset: int
    period: int
    fixed_mul: int
    fixed_offset: int
    moving_mul: int
    moving_step: int
    moving_offset: int


class Walk(NamedTuple):
    """Both axes, and what coincides: the fixed feature with the target, the moving one with the source."""

    rows: AxisWalk
    columns: AxisWalk
    fixed_is_target: bool
    moving_is_source: bool

    @property
    def phases(self) -> tuple[int, int]:
        """How many classes of targets meet different taps, per axis."""
        return self.rows.div, self.columns.div

    @property
    def taps(self) -> int:
        """Taps of the window."""
        return self.rows.taps * self.columns.taps


def forward(window: Window) -> Walk:
    """Targets are the operator's output, sources its input; the centre is fixed, the tap moves."""
    axes: list[AxisWalk] = []
    for axis in (0, 1):
        k, s, p, d, reach = _axis(window, axis)
        if window.transposed:
            moving = (1, d, -(reach // 2))
            axes.append(_walk(k, 1, s, d, p - reach, (1, 0), moving))
        else:
            axes.append(_walk(k, s, 1, d, -p, (1, 0), (s, d, -p)))
    return Walk(axes[0], axes[1], fixed_is_target=True, moving_is_source=not window.transposed)


def backward(window: Window) -> Walk:
    """Targets are the operator's input, sources its output; the tap is fixed, the centre moves."""
    axes: list[AxisWalk] = []
    for axis in (0, 1):
        k, s, p, d, reach = _axis(window, axis)
        if window.transposed:
            fixed = (s, reach - p - reach // 2)
            axes.append(_walk(k, s, 1, -d, reach - p, fixed, (s, -d, reach - p)))
        else:
            axes.append(_walk(k, 1, s, -d, p, (1, 0), (1, -d, p)))
    return Walk(axes[0], axes[1], fixed_is_target=not window.transposed, moving_is_source=True)


def near(window: Window) -> Walk:
    """From the image whose every pixel and tap meets a whole pixel of the other: output, or transposed input."""
    return backward(window) if window.transposed else forward(window)


def _axis(window: Window, axis: int) -> tuple[int, int, int, int, int]:
    pairs = (window.kernel_size, window.stride, window.padding, window.dilation, window.reach)
    k, s, p, d, reach = (pair[axis] for pair in pairs)
    return k, s, p, d, reach


def _walk(
    taps: int, mul: int, div: int, step: int, offset: int, fixed: tuple[int, int], moving: tuple[int, int, int]
) -> AxisWalk:
    return AxisWalk(taps, mul, div, step, offset, div // math.gcd(step, div), *fixed, *moving)
