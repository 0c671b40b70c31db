"""Floors: the least time that a case can take on a machine whose registers have been measured.

A convolution cannot take less than its multiply-adds at the FMA peak. Of mean-field messages only the taps inside the
image count, since the others multiply zeros. A pooling needs, besides its multiply-adds, every value of the adapting
kernel once.
"""

from __future__ import annotations

from .cases import Direction, OperatorCase


def useful_flops(case: OperatorCase, direction: Direction) -> float:
    """Operations at taps inside the image: 2·C·O·taps·messages over all pixels, three times that with backward."""
    return case.flops(direction) * case.share_of_taps_inside


def kernel_values(case: OperatorCase) -> float:
    """Values of the adapting kernel: taps · pixels, those in the padding among them."""
    height, width = case.window.output_size(case.image)
    rows, columns = case.window.kernel_size
    return float(height * width * rows * columns)


def useful_floor_s(case: OperatorCase, direction: Direction, fma_gflops: float) -> float:
    """Seconds that the operations at taps inside the image take at the FMA peak."""
    return useful_flops(case, direction) / (fma_gflops * 1e9)


def pooling_floor_s(case: OperatorCase, fma_gflops: float, kernel_value_s: float) -> float:
    """Seconds of a pooling's forward pass: 2·C·taps·pixels at the FMA peak, and taps·pixels kernel values.

    Args:
        case: A pooling.
        fma_gflops: Measured FMA peak, GFLOP/s.
        kernel_value_s: Measured time of one value of the kernel by all threads together, in seconds.

    Raises:
        ValueError: the case is no pooling.
    """
    if not case.pooling:
        raise ValueError(f"pooling_floor_s: got case {case.name} ({case.operator}), expected a pooling")
    return case.flops("forward") / (fma_gflops * 1e9) + kernel_values(case) * kernel_value_s
