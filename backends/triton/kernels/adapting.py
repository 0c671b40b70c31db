"""The adapting kernel K(f_i, f_j) in registers.

A program compares, for each of its pixels, a *fixed* feature with one that *moves* with the tap. Forwards the fixed
one is the window's centre f_i and the tap f_j moves; backwards, seen from the input pixel, the tap is fixed and the
centre moves.
"""

import triton.language as tl

from .device_function import device_function, sum_over

GAUSSIAN = tl.constexpr(0)
INVERSE = tl.constexpr(1)
GIVEN = tl.constexpr(2)
EPSILON = tl.constexpr(1e-4)
"""Added to d² in `inv` kernels, so that the power has a derivative at 0 (docs/operators.md)."""


@device_function
def feature_tile(image, at, inside, channels, channel_count, plane, ACC: tl.constexpr):
    """Features (pixels, channels) of an image at `at`, 0 outside."""
    mask = inside[:, None] & (channels < channel_count)[None, :]
    return tl.load(image + channels[None, :] * plane + at[:, None], mask=mask, other=0.0).to(ACC)


@device_function
def rectified(fixed, moving, MOVING_IS_TAP: tl.constexpr, ASYMMETRIC: tl.constexpr):
    """The tap minus the centre, or what of it is positive. A NaN stays one, which `tl.maximum` would not keep."""
    difference = moving - fixed if MOVING_IS_TAP else fixed - moving
    if ASYMMETRIC:
        difference = tl.where(difference < 0, 0.0, difference)
    return difference


@device_function
def squared_distance(
    fixed_image, fixed_at, fixed_inside, fixed_plane, fixed_tile,
    moving_image, moving_at, moving_inside, moving_plane,
    guide_channels,
    MOVING_IS_TAP: tl.constexpr, ASYMMETRIC: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr, ACC: tl.constexpr,
    IDX: tl.constexpr,
):  # fmt: skip
    """d² over all guide channels, (pixels,); with HOIST there is one block of channels, its fixed tile is at hand."""
    if HOIST:
        channels = tl.arange(0, BG).to(IDX)
        moving = feature_tile(moving_image, moving_at, moving_inside, channels, guide_channels, moving_plane, ACC)
        difference = rectified(fixed_tile, moving, MOVING_IS_TAP, ASYMMETRIC)
        distance = sum_over(difference * difference, axis=1)
    else:
        distance = tl.zeros(fixed_at.shape, dtype=ACC)
        for start in range(0, guide_channels, BG):
            channels = start + tl.arange(0, BG).to(IDX)
            moving = feature_tile(moving_image, moving_at, moving_inside, channels, guide_channels, moving_plane, ACC)
            fixed = feature_tile(fixed_image, fixed_at, fixed_inside, channels, guide_channels, fixed_plane, ACC)
            difference = rectified(fixed, moving, MOVING_IS_TAP, ASYMMETRIC)
            distance += sum_over(difference * difference, axis=1)
    return distance


@device_function
def kernel_of_distance(distance, alpha, exponent, FORM: tl.constexpr):
    """K by d²: exp(-d²/2), or alpha + (d² + 1e-4)^(exponent / 2)."""
    if FORM == GAUSSIAN:
        value = tl.exp(distance * -0.5)
    else:
        value = alpha + tl.exp(tl.log(distance + EPSILON) * (exponent * 0.5))
    return value


@device_function
def slope_of_distance(distance, value, exponent, FORM: tl.constexpr):
    """dK/d(d²), given K."""
    if FORM == GAUSSIAN:
        slope = value * -0.5
    else:
        slope = tl.exp(tl.log(distance + EPSILON) * (exponent * 0.5 - 1.0)) * (exponent * 0.5)
    return slope
