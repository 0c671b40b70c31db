"""The adapting kernel as an operator of its own, and the sums over windows that normalisation and masks divide by.

The images of a channel-wise kernel are the guide's channels: `images` is then N · G, `group` is G.
"""

import triton.language as tl

from .adapting import feature_tile, kernel_of_distance, squared_distance
from .device_function import device_function, kernel
from .walking import (
    DIV,
    MOVING_MUL,
    MOVING_OFFSET,
    MOVING_STEP,
    MUL,
    OFFSET,
    STEP,
    TAPS,
    tile_pixels,
    within,
)


@device_function
def pixel_met(y, x, tap_y, tap_x, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Place of the operator's input pixel that a tap meets, and whether there is one: no padding, no inserted zero."""
    met_y = y * ROWS[MUL] + (tap_y * ROWS[STEP] + ROWS[OFFSET])
    met_x = x * COLUMNS[MUL] + (tap_x * COLUMNS[STEP] + COLUMNS[OFFSET])
    inside = (met_y >= 0) & (met_x >= 0)
    if ROWS[DIV] > 1:
        inside = inside & (met_y % ROWS[DIV] == 0)
        met_y = met_y // ROWS[DIV]
    if COLUMNS[DIV] > 1:
        inside = inside & (met_x % COLUMNS[DIV] == 0)
        met_x = met_x // COLUMNS[DIV]
    return met_y * width + met_x, inside & (met_y < height) & (met_x < width)


@kernel
def window_sums(
    guide, centres, mask, alpha, exponent, scale, output_mask,
    group, guide_channels, alpha_step, exponent_step, guide_height, guide_width, height, width,
    input_height, input_width, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr, NORMALIZE: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr, ACC: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """scale[image, i] = 1 / what K is divided by at i (0 where that is 0); output_mask[n, i]: a tap is valid.

    With NORMALIZE it is Σ_t K w, w being the mask or 1 inside the image; else (Σ_t mask) / (Σ_t 1 inside the image).
    """
    pid = tl.program_id(0).to(IDX)
    height, width = tl.cast(height, IDX), tl.cast(width, IDX)
    guide_height, guide_width = tl.cast(guide_height, IDX), tl.cast(guide_width, IDX)
    input_height, input_width = tl.cast(input_height, IDX), tl.cast(input_width, IDX)
    image = (pid // tiles).to(tl.int64)
    y, x = tile_pixels(pid % tiles, tile_columns, BH, BW, IDX)
    here = (y < height) & (x < width)
    at = y * width + x
    plane, guide_plane = height * width, guide_height * guide_width
    guide += image * guide_channels * guide_plane
    centres += image * guide_channels * plane
    if mask is not None:
        mask += (image // group) * (input_height * input_width)
    centre_tile = 0
    if HOIST:
        centre_tile = feature_tile(centres, at, here, tl.arange(0, BG).to(IDX), guide_channels, plane, ACC)
    alpha_value, exponent_value = 0.0, 0.0
    if alpha is not None:
        alpha_value = tl.load(alpha + image % group * alpha_step).to(ACC)
        exponent_value = tl.load(exponent + image % group * exponent_step).to(ACC)
    total = tl.zeros((BH * BW,), dtype=ACC)
    pixels = tl.zeros((BH * BW,), dtype=ACC)
    valid = tl.zeros((BH * BW,), dtype=tl.int32)
    for tap in range(ROWS[TAPS] * COLUMNS[TAPS]):
        tap_y, tap_x = tap // COLUMNS[TAPS], tap % COLUMNS[TAPS]
        met, inside = pixel_met(y, x, tap_y, tap_x, input_height, input_width, ROWS, COLUMNS)
        inside = inside & here
        if mask is None:
            share = inside.to(ACC)
        else:
            share = tl.load(mask + met, mask=inside, other=0.0).to(ACC)
            valid = valid | (share != 0).to(tl.int32)
        if NORMALIZE:
            tap_at_y = y * ROWS[MOVING_MUL] + (tap_y * ROWS[MOVING_STEP] + ROWS[MOVING_OFFSET])
            tap_at_x = x * COLUMNS[MOVING_MUL] + (tap_x * COLUMNS[MOVING_STEP] + COLUMNS[MOVING_OFFSET])
            distance = squared_distance(
                centres, at, here, plane, centre_tile,
                guide, tap_at_y * guide_width + tap_at_x,
                here & within(tap_at_y, tap_at_x, guide_height, guide_width), guide_plane,
                guide_channels, True, ASYMMETRIC, BG, HOIST, ACC, IDX,
            )  # fmt: skip
            total += kernel_of_distance(distance, alpha_value, exponent_value, FORM) * share
        else:
            total += share
            pixels += inside.to(ACC)
    if not NORMALIZE:
        # valid taps / taps inside the image; windows without either are 0
        total = tl.where(pixels == 0, 0.0, total / tl.where(pixels == 0, 1.0, pixels))
    inverse = tl.where(total == 0, 0.0, 1.0 / tl.where(total == 0, 1.0, total))
    tl.store(scale + image * plane + at, inverse, mask=here)
    if mask is not None:  # noqa: SIM102 - decided when the kernel is compiled, the second when it runs
        if image % group == 0:
            tl.store(output_mask + (image // group) * plane + at, valid.to(tl.int8), mask=here)


@kernel
def adapting_kernel(
    guide, centres, mask, scale, alpha, exponent, output,
    group, guide_channels, alpha_step, exponent_step, guide_height, guide_width, height, width,
    input_height, input_width, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr, ONLY_INSIDE: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr, ACC: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """output[image, t, i] = K(centres_i, guide at tap t of i) · mask · scale_i; ONLY_INSIDE: 0 off the image."""
    pid = tl.program_id(0).to(IDX)
    height, width = tl.cast(height, IDX), tl.cast(width, IDX)
    guide_height, guide_width = tl.cast(guide_height, IDX), tl.cast(guide_width, IDX)
    input_height, input_width = tl.cast(input_height, IDX), tl.cast(input_width, IDX)
    image = (pid // tiles).to(tl.int64)
    y, x = tile_pixels(pid % tiles, tile_columns, BH, BW, IDX)
    here = (y < height) & (x < width)
    at = y * width + x
    plane, guide_plane = height * width, guide_height * guide_width
    guide += image * guide_channels * guide_plane
    centres += image * guide_channels * plane
    output += image * (ROWS[TAPS] * COLUMNS[TAPS]) * plane
    if mask is not None:
        mask += (image // group) * (input_height * input_width)
    centre_tile = 0
    if HOIST:
        centre_tile = feature_tile(centres, at, here, tl.arange(0, BG).to(IDX), guide_channels, plane, ACC)
    alpha_value, exponent_value = 0.0, 0.0
    if alpha is not None:
        alpha_value = tl.load(alpha + image % group * alpha_step).to(ACC)
        exponent_value = tl.load(exponent + image % group * exponent_step).to(ACC)
    if scale is not None:
        factor = tl.load(scale + image * plane + at, mask=here, other=0.0)
    for tap in range(ROWS[TAPS] * COLUMNS[TAPS]):
        tap_y, tap_x = tap // COLUMNS[TAPS], tap % COLUMNS[TAPS]
        tap_at_y = y * ROWS[MOVING_MUL] + (tap_y * ROWS[MOVING_STEP] + ROWS[MOVING_OFFSET])
        tap_at_x = x * COLUMNS[MOVING_MUL] + (tap_x * COLUMNS[MOVING_STEP] + COLUMNS[MOVING_OFFSET])
        distance = squared_distance(
            centres, at, here, plane, centre_tile,
            guide, tap_at_y * guide_width + tap_at_x,
            here & within(tap_at_y, tap_at_x, guide_height, guide_width), guide_plane,
            guide_channels, True, ASYMMETRIC, BG, HOIST, ACC, IDX,
        )  # fmt: skip
        value = kernel_of_distance(distance, alpha_value, exponent_value, FORM)
        if ONLY_INSIDE:
            met, inside = pixel_met(y, x, tap_y, tap_x, input_height, input_width, ROWS, COLUMNS)
            if mask is None:
                value = tl.where(inside, value, 0.0)
            else:
                value *= tl.load(mask + met, mask=inside & here, other=0.0).to(ACC)
        if scale is not None:
            value *= factor
        tl.store(output + tap * plane + at, value.to(output.dtype.element_ty), mask=here)
