"""The gradient of the adapting kernel to the guide, given that to K: each value of d K reaches two guide pixels.

`centre_gradient` walks the windows and sums over their taps what reaches each centre; `tap_gradient` walks the guide
and gathers from every window that a pixel is a tap of. No atomics. Images and groups as in `kernel_alone.py`.
"""

import triton.language as tl

from .adapting import (
    EPSILON,
    INVERSE,
    feature_tile,
    kernel_of_distance,
    rectified,
    slope_of_distance,
    squared_distance,
)
from .device_function import kernel, sum_over
from .kernel_alone import pixel_met
from .walking import (
    MOVING_MUL,
    MOVING_OFFSET,
    MOVING_STEP,
    TAPS,
    tile_pixels,
    within,
)


@kernel
def centre_gradient(
    grad, guide, centres, mask, scale, alpha, exponent, shares, grad_centres, grad_alpha, grad_exponent,
    group, guide_channels, channel_blocks, alpha_step, exponent_step, guide_height, guide_width, height, width,
    input_height, input_width, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr,
    NORMALIZE: tl.constexpr, ONLY_INSIDE: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr, ACC: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """grad_centres[image, g, i] of grad[image, t, i]; shares[image, i] = Σ_t grad · K where K is normalised.

    grad_alpha and grad_exponent get one sum a program.
    """
    pid = tl.program_id(0).to(IDX)
    height, width = tl.cast(height, IDX), tl.cast(width, IDX)
    guide_height, guide_width = tl.cast(guide_height, IDX), tl.cast(guide_width, IDX)
    input_height, input_width = tl.cast(input_height, IDX), tl.cast(input_width, IDX)
    block = pid % channel_blocks
    program = pid // channel_blocks
    image = (program // tiles).to(tl.int64)
    y, x = tile_pixels(program % tiles, tile_columns, BH, BW, IDX)
    here = (y < height) & (x < width)
    at = y * width + x
    plane, guide_plane = height * width, guide_height * guide_width
    guide += image * guide_channels * guide_plane
    centres += image * guide_channels * plane
    grad += image * (ROWS[TAPS] * COLUMNS[TAPS]) * plane
    if mask is not None:
        mask += (image // group) * (input_height * input_width)
    channels = block * BG + tl.arange(0, BG).to(IDX)
    centre_tile = feature_tile(centres, at, here, channels, guide_channels, plane, ACC)
    alpha_value, exponent_value = 0.0, 0.0
    if alpha is not None:
        alpha_value = tl.load(alpha + image % group * alpha_step).to(ACC)
        exponent_value = tl.load(exponent + image % group * exponent_step).to(ACC)
    # One number collects the terms of the whole image for alpha and one for the exponent. Where K is normalised most of
    # them cancel: K, its mean and its sum are then wanted beyond the rounding of a GPU's logarithms and exponentials.
    precise: tl.constexpr = tl.float64 if FORM == INVERSE else ACC
    if scale is not None:
        factor = tl.load(scale + image * plane + at, mask=here, other=0.0)
    share = tl.zeros((BH * BW,), dtype=precise)
    total = tl.zeros((BH * BW,), dtype=precise)
    passes: tl.constexpr = 2 if NORMALIZE else 1
    gradient = tl.zeros((BH * BW, BG), dtype=ACC)
    to_alpha = tl.zeros((BH * BW,), dtype=tl.float64)
    to_exponent = tl.zeros((BH * BW,), dtype=tl.float64)
    for step in tl.static_range(passes):
        for tap in range(ROWS[TAPS] * COLUMNS[TAPS]):
            tap_y, tap_x = tap // COLUMNS[TAPS], tap % COLUMNS[TAPS]
            tap_at_y = y * ROWS[MOVING_MUL] + (tap_y * ROWS[MOVING_STEP] + ROWS[MOVING_OFFSET])
            tap_at_x = x * COLUMNS[MOVING_MUL] + (tap_x * COLUMNS[MOVING_STEP] + COLUMNS[MOVING_OFFSET])
            tap_inside = here & within(tap_at_y, tap_at_x, guide_height, guide_width)
            tap_at = tap_at_y * guide_width + tap_at_x
            distance = squared_distance(
                centres, at, here, plane, centre_tile, guide, tap_at, tap_inside, guide_plane,
                guide_channels, True, ASYMMETRIC, BG, HOIST, ACC, IDX,
            )  # fmt: skip
            if FORM == INVERSE:
                logarithm = tl.log((distance + EPSILON).to(tl.float64))
                power = tl.exp(logarithm * (exponent_value.to(tl.float64) * 0.5))
                value = alpha_value + power
            else:
                value = kernel_of_distance(distance, alpha_value, exponent_value, FORM)
            weight = tl.load(grad + tap * plane + at, mask=here, other=0.0).to(ACC)
            if ONLY_INSIDE:
                met, inside = pixel_met(y, x, tap_y, tap_x, input_height, input_width, ROWS, COLUMNS)
                if mask is None:
                    ratio = tl.where(inside, factor, 0.0)
                else:
                    ratio = factor * tl.load(mask + met, mask=inside & here, other=0.0).to(ACC)
                if NORMALIZE and step == 0:
                    share += tl.where(ratio == 0, 0.0, weight * value * ratio)
                    total += tl.where(ratio == 0, 0.0, value * ratio)
                weight = tl.where(ratio == 0, 0.0, (weight - share) * ratio) if NORMALIZE else weight * ratio
            if step == passes - 1:
                moving = feature_tile(guide, tap_at, tap_inside, channels, guide_channels, guide_plane, ACC)
                slope = (weight * slope_of_distance(distance, value, exponent_value, FORM)).to(ACC)
                gradient -= (2.0 * slope)[:, None] * rectified(centre_tile, moving, True, ASYMMETRIC)
                if FORM == INVERSE:
                    weight = tl.where(here, weight, 0.0)
                    to_alpha += weight.to(tl.float64)
                    to_exponent += weight.to(tl.float64) * power * 0.5 * logarithm
        if NORMALIZE and step == 0:
            # `scale` makes K sum to 1 but for rounding; what is taken from every tap must be a mean for just these K.
            total = tl.where(total == 0, 1.0, total)
            share, factor = share / total, factor / total
    stored = here[:, None] & (channels < guide_channels)[None, :]
    tl.store(
        grad_centres + image * guide_channels * plane + channels[None, :] * plane + at[:, None], gradient, mask=stored
    )
    if block == 0:
        if NORMALIZE:
            tl.store(shares + image * plane + at, share, mask=here)
        if FORM == INVERSE:
            tl.store(grad_alpha + program, sum_over(to_alpha, axis=0))
            tl.store(grad_exponent + program, sum_over(to_exponent, axis=0))


@kernel
def tap_gradient(
    grad, guide, centres, mask, scale, alpha, exponent, shares, grad_guide,
    group, guide_channels, channel_blocks, alpha_step, exponent_step, guide_height, guide_width, height, width,
    input_height, input_width, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr,
    NORMALIZE: tl.constexpr, ONLY_INSIDE: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr, ACC: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """grad_guide[image, g, j], of every window that j is a tap of; `shares` as `centre_gradient` wrote them."""
    pid = tl.program_id(0).to(IDX)
    height, width = tl.cast(height, IDX), tl.cast(width, IDX)
    guide_height, guide_width = tl.cast(guide_height, IDX), tl.cast(guide_width, IDX)
    input_height, input_width = tl.cast(input_height, IDX), tl.cast(input_width, IDX)
    block = pid % channel_blocks
    program = pid // channel_blocks
    image = (program // tiles).to(tl.int64)
    y, x = tile_pixels(program % tiles, tile_columns, BH, BW, IDX)
    here = (y < guide_height) & (x < guide_width)
    at = y * guide_width + x
    plane, guide_plane = height * width, guide_height * guide_width
    guide += image * guide_channels * guide_plane
    centres += image * guide_channels * plane
    grad += image * (ROWS[TAPS] * COLUMNS[TAPS]) * plane
    if scale is not None:
        scale += image * plane
    channels = block * BG + tl.arange(0, BG).to(IDX)
    tap_tile = feature_tile(guide, at, here, channels, guide_channels, guide_plane, ACC)
    alpha_value, exponent_value = 0.0, 0.0
    if alpha is not None:
        alpha_value = tl.load(alpha + image % group * alpha_step).to(ACC)
        exponent_value = tl.load(exponent + image % group * exponent_step).to(ACC)
    gradient = tl.zeros((BH * BW, BG), dtype=ACC)
    if ONLY_INSIDE:
        # Which input pixel this guide pixel lies on does not depend on the window that it is a tap of.
        start_y, start_x = y - ROWS[MOVING_OFFSET], x - COLUMNS[MOVING_OFFSET]
        if ROWS[MOVING_MUL] == 1 and COLUMNS[MOVING_MUL] == 1:
            met, inside = pixel_met(start_y, start_x, 0, 0, input_height, input_width, ROWS, COLUMNS)
        else:
            met, inside = at, here
        if mask is None:
            share_of_mask = (inside & here).to(ACC)
        else:
            mask += (image // group) * (input_height * input_width)
            share_of_mask = tl.load(mask + met, mask=inside & here, other=0.0).to(ACC)
    for tap in range(ROWS[TAPS] * COLUMNS[TAPS]):
        tap_y, tap_x = tap // COLUMNS[TAPS], tap % COLUMNS[TAPS]
        centre_y = y - (tap_y * ROWS[MOVING_STEP] + ROWS[MOVING_OFFSET])
        centre_x = x - (tap_x * COLUMNS[MOVING_STEP] + COLUMNS[MOVING_OFFSET])
        inside = here & (centre_y >= 0) & (centre_x >= 0)
        if ROWS[MOVING_MUL] > 1:
            inside = inside & (centre_y % ROWS[MOVING_MUL] == 0)
            centre_y = centre_y // ROWS[MOVING_MUL]
        if COLUMNS[MOVING_MUL] > 1:
            inside = inside & (centre_x % COLUMNS[MOVING_MUL] == 0)
            centre_x = centre_x // COLUMNS[MOVING_MUL]
        inside = inside & (centre_y < height) & (centre_x < width)
        centre_at = centre_y * width + centre_x
        distance = squared_distance(
            guide, at, here, guide_plane, tap_tile, centres, centre_at, inside, plane,
            guide_channels, False, ASYMMETRIC, BG, HOIST, ACC, IDX,
        )  # fmt: skip
        value = kernel_of_distance(distance, alpha_value, exponent_value, FORM)
        weight = tl.load(grad + tap * plane + centre_at, mask=inside, other=0.0).to(ACC)
        if ONLY_INSIDE:
            ratio = tl.load(scale + centre_at, mask=inside, other=0.0) * share_of_mask
            if NORMALIZE:
                weight -= tl.load(shares + image * plane + centre_at, mask=inside, other=0.0)
            weight = tl.where(ratio == 0, 0.0, weight * ratio)
        moving = feature_tile(centres, centre_at, inside, channels, guide_channels, plane, ACC)
        slope = weight * slope_of_distance(distance, value, exponent_value, FORM)
        gradient += (2.0 * slope)[:, None] * rectified(tap_tile, moving, False, ASYMMETRIC)
    stored = here[:, None] & (channels < guide_channels)[None, :]
    tl.store(
        grad_guide + image * guide_channels * guide_plane + channels[None, :] * guide_plane + at[:, None],
        gradient,
        mask=stored,
    )
