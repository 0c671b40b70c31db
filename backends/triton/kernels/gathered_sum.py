"""Pooling, and convolution by one spatial filter for all channels: a scaled sum, bound by memory bandwidth.

Forwards, and backwards to the input: the same gather, as in `contraction.py`.
"""

import triton.language as tl

from .adapting import GIVEN, feature_tile, kernel_of_distance, rectified, squared_distance
from .device_function import kernel
from .walking import MUL, TAPS, fixed_pixels, moving_pixels, nth_tap, program_pixels, shift_of, within


@kernel
def gathered_sum(
    source, weight, bias, output, given, fixed, moving, scale, mask, alpha, exponent,
    channel_count, guide_channels, alpha_step, exponent_step,
    source_height, source_width, target_height, target_width,
    fixed_height, fixed_width, moving_height, moving_width,
    channel_blocks, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr,
    CHANNEL_WISE: tl.constexpr, FORWARD: tl.constexpr, FIXED_IS_TARGET: tl.constexpr, MOVING_IS_SOURCE: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BC: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr,
    ACC: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """output[n, c, p] = bias_c + scale · Σ_t K(p, t) weight_t source[n, c, p + t].

    With CHANNEL_WISE, K and scale have a channel for each of the input's, or of the guide, which then has as many;
    else as in `gather_contraction`. Without a weight it is 1.
    """
    pid = tl.program_id(0).to(IDX)
    source_height, source_width = tl.cast(source_height, IDX), tl.cast(source_width, IDX)
    target_height, target_width = tl.cast(target_height, IDX), tl.cast(target_width, IDX)
    fixed_height, fixed_width = tl.cast(fixed_height, IDX), tl.cast(fixed_width, IDX)
    moving_height, moving_width = tl.cast(moving_height, IDX), tl.cast(moving_width, IDX)
    c = (pid % channel_blocks) * BC + tl.arange(0, BC).to(IDX)
    pid = pid // channel_blocks
    n, row, column, y, x, phase_y, phase_x, first_y, first_x, count, count_x = program_pixels(
        pid, tiles, tile_columns, ROWS, COLUMNS, BH, BW, IDX
    )
    target_inside = (y < target_height) & (x < target_width)
    target_at = y * target_width + x
    target_plane, source_plane = target_height * target_width, source_height * source_width
    output_plane = target_plane if FORWARD else source_plane
    row, column = row * ROWS[MUL], column * COLUMNS[MUL]
    some = c < channel_count
    kernel_images = n * channel_count if CHANNEL_WISE else n
    of_channel = c[None, :] * output_plane
    if FORM == GIVEN:
        given += kernel_images * (ROWS[TAPS] * COLUMNS[TAPS]) * output_plane
    else:
        fixed_plane, moving_plane = fixed_height * fixed_width, moving_height * moving_width
        fixed += n * guide_channels * fixed_plane
        moving += n * guide_channels * moving_plane
        fixed_at, fixed_inside = fixed_pixels(
            y, x, target_at, target_inside, fixed_height, fixed_width, FIXED_IS_TARGET, ROWS, COLUMNS
        )
        fixed_tile = 0
        if CHANNEL_WISE:
            fixed_tile = feature_tile(fixed, fixed_at, fixed_inside, c, channel_count, fixed_plane, ACC)
        elif HOIST:
            channels = tl.arange(0, BG).to(IDX)
            fixed_tile = feature_tile(fixed, fixed_at, fixed_inside, channels, guide_channels, fixed_plane, ACC)
        alpha_value, exponent_value = 0.0, 0.0
        if alpha is not None:
            if CHANNEL_WISE:
                alpha_value = tl.load(alpha + c * alpha_step, mask=some, other=0.0).to(ACC)[None, :]
                exponent_value = tl.load(exponent + c * exponent_step, mask=some, other=0.0).to(ACC)[None, :]
            else:
                alpha_value, exponent_value = tl.load(alpha).to(ACC), tl.load(exponent).to(ACC)
        if mask is not None:
            mask += n * (source_plane if FORWARD else target_plane)
            if not FORWARD:
                target_mask = tl.load(mask + target_at, mask=target_inside, other=0.0).to(ACC)
        if scale is not None:
            scale += kernel_images * output_plane
    source += n * channel_count * source_plane
    sums = tl.zeros((BH * BW, BC), dtype=ACC)
    for index in range(count):
        tap_y, tap_x, tap = nth_tap(index, count_x, first_y, first_x, ROWS, COLUMNS)
        source_y = row + shift_of(tap_y, phase_y, ROWS)
        source_x = column + shift_of(tap_x, phase_x, COLUMNS)
        inside = target_inside & within(source_y, source_x, source_height, source_width)
        source_at = source_y * source_width + source_x
        here = inside[:, None] & some[None, :]
        output_at = target_at if FORWARD else source_at
        if FORM == GIVEN:
            if CHANNEL_WISE:
                at = c[None, :] * ((ROWS[TAPS] * COLUMNS[TAPS]) * output_plane) + output_at[:, None]
                value = tl.load(given + tap * output_plane + at, mask=here, other=0.0).to(ACC)
            else:
                value = tl.load(given + tap * output_plane + output_at, mask=inside, other=0.0).to(ACC)[:, None]
        else:
            moving_at, moving_inside = moving_pixels(
                y, x, target_inside, tap_y, tap_x, source_at, inside, moving_height, moving_width, MOVING_IS_SOURCE,
                ROWS, COLUMNS,
            )  # fmt: skip
            if CHANNEL_WISE:
                tile = feature_tile(moving, moving_at, moving_inside, c, channel_count, moving_plane, ACC)
                difference = rectified(fixed_tile, tile, FORWARD, ASYMMETRIC)
                value = kernel_of_distance(difference * difference, alpha_value, exponent_value, FORM)
            else:
                distance = squared_distance(
                    fixed, fixed_at, fixed_inside, fixed_plane, fixed_tile,
                    moving, moving_at, moving_inside, moving_plane,
                    guide_channels, FORWARD, ASYMMETRIC, BG, HOIST, ACC, IDX,
                )  # fmt: skip
                value = kernel_of_distance(distance, alpha_value, exponent_value, FORM)[:, None]
            if mask is not None:
                if FORWARD:
                    value *= tl.load(mask + source_at, mask=inside, other=0.0).to(ACC)[:, None]
                else:
                    value *= target_mask[:, None]
            if scale is not None and not FORWARD:
                if CHANNEL_WISE:
                    value *= tl.load(scale + of_channel + output_at[:, None], mask=here, other=0.0)
                else:
                    value *= tl.load(scale + output_at, mask=inside, other=0.0)[:, None]
        if weight is not None:
            value *= tl.load(weight + tap).to(ACC)
        values = tl.load(source + c[None, :] * source_plane + source_at[:, None], mask=here, other=0.0).to(ACC)
        sums += values * value
    if FORM != GIVEN and scale is not None and FORWARD:
        if CHANNEL_WISE:
            here = target_inside[:, None] & some[None, :]
            sums *= tl.load(scale + of_channel + target_at[:, None], mask=here, other=0.0)
        else:
            sums *= tl.load(scale + target_at, mask=target_inside, other=0.0)[:, None]
    if bias is not None:
        sums += tl.load(bias + c, mask=some, other=0.0).to(ACC)[None, :]
    at = n * channel_count * target_plane + c[None, :] * target_plane + target_at[:, None]
    tl.store(output + at, sums.to(output.dtype.element_ty), mask=target_inside[:, None] & some[None, :])
