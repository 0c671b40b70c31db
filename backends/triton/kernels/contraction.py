"""Convolution as an implicit GEMM, forwards and backwards to the input.

M = target pixels, N = output channels, K = the input channels of one tap. For each tap that meets a pixel the tile of
source values is scaled by the adapting kernel on its way into the dot product: no k² tensor is ever stored. The
gradient to the input is the same gather with the roles of the channels exchanged, the taps walked the other way, and K
evaluated at the source, which is then the window's centre: no atomics, the same bits every time.
"""

import triton.language as tl

from .adapting import GIVEN, INVERSE, feature_tile, kernel_of_distance, squared_distance
from .device_function import kernel
from .walking import MUL, TAPS, fixed_pixels, moving_pixels, nth_tap, program_pixels, shift_of, within


@kernel
def gather_contraction(
    source, weight, bias, base, output, given, fixed, moving, scale, mask, alpha, exponent,
    source_channels, target_channels, guide_channels,
    source_height, source_width, target_height, target_width,
    fixed_height, fixed_width, moving_height, moving_width,
    channel_blocks, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr,
    FORWARD: tl.constexpr, FIXED_IS_TARGET: tl.constexpr, MOVING_IS_SOURCE: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BC: tl.constexpr, BO: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr,
    PADDED: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """output[n, o, p] = base[n, o, p] + bias_o + scale · Σ_t Σ_c K(p, t) source[n, c, p + t] weight[t, c, o].

    weight is (taps, source_channels, target_channels). K is `given` (N, taps, pixels of the operator's output), or
    computed of the features. `scale` (N, pixels of the operator's output) and `mask` (N, pixels of its input) multiply
    K. FORWARD: the target is the operator's output, the source its input; else the other way round. PADDED: the last
    block of source channels is not full.
    """
    pid = tl.program_id(0).to(IDX)
    source_channels, target_channels = tl.cast(source_channels, IDX), tl.cast(target_channels, IDX)
    source_height, source_width = tl.cast(source_height, IDX), tl.cast(source_width, IDX)
    target_height, target_width = tl.cast(target_height, IDX), tl.cast(target_width, IDX)
    fixed_height, fixed_width = tl.cast(fixed_height, IDX), tl.cast(fixed_width, IDX)
    moving_height, moving_width = tl.cast(moving_height, IDX), tl.cast(moving_width, IDX)
    o = (pid % channel_blocks) * BO + tl.arange(0, BO).to(IDX)
    pid = pid // channel_blocks
    n, row, column, y, x, phase_y, phase_x, first_y, first_x, count, count_x = program_pixels(
        pid, tiles, tile_columns, ROWS, COLUMNS, BH, BW, IDX
    )
    target_inside = (y < target_height) & (x < target_width)
    target_at = y * target_width + x
    target_plane = target_height * target_width
    source_plane = source_height * source_width
    row, column = row * ROWS[MUL], column * COLUMNS[MUL]
    source += n * source_channels * source_plane
    if FORM == GIVEN:
        given += n * (ROWS[TAPS] * COLUMNS[TAPS]) * (target_plane if FORWARD else source_plane)
    else:
        fixed_plane = fixed_height * fixed_width
        moving_plane = moving_height * moving_width
        fixed += n * guide_channels * fixed_plane
        moving += n * guide_channels * moving_plane
        fixed_at, fixed_inside = fixed_pixels(
            y, x, target_at, target_inside, fixed_height, fixed_width, FIXED_IS_TARGET, ROWS, COLUMNS
        )
        fixed_tile = 0
        if HOIST:
            channels = tl.arange(0, BG).to(IDX)
            fixed_tile = feature_tile(fixed, fixed_at, fixed_inside, channels, guide_channels, fixed_plane, ACC)
        alpha_value, exponent_value = 0.0, 0.0
        if alpha is not None:
            alpha_value, exponent_value = tl.load(alpha).to(ACC), tl.load(exponent).to(ACC)
        if mask is not None:
            mask += n * (source_plane if FORWARD else target_plane)
            if not FORWARD:
                target_mask = tl.load(mask + target_at, mask=target_inside, other=0.0).to(ACC)
        if scale is not None:
            scale += n * (target_plane if FORWARD else source_plane)
    sums = tl.zeros((BH * BW, BO), dtype=ACC)
    for index in range(count):
        tap_y, tap_x, tap = nth_tap(index, count_x, first_y, first_x, ROWS, COLUMNS)
        source_y = row + shift_of(tap_y, phase_y, ROWS)
        source_x = column + shift_of(tap_x, phase_x, COLUMNS)
        inside = target_inside & within(source_y, source_x, source_height, source_width)
        source_at = source_y * source_width + source_x
        if FORM == GIVEN:
            if FORWARD:
                value = tl.load(given + tap * target_plane + target_at, mask=inside, other=0.0).to(ACC)
            else:
                value = tl.load(given + tap * source_plane + source_at, mask=inside, other=0.0).to(ACC)
        else:
            moving_at, moving_inside = moving_pixels(
                y, x, target_inside, tap_y, tap_x, source_at, inside, moving_height, moving_width, MOVING_IS_SOURCE,
                ROWS, COLUMNS,
            )  # fmt: skip
            distance = squared_distance(
                fixed, fixed_at, fixed_inside, fixed_plane, fixed_tile, moving, moving_at, moving_inside, moving_plane,
                guide_channels, FORWARD, ASYMMETRIC, BG, HOIST, ACC, IDX,
            )  # fmt: skip
            value = kernel_of_distance(distance, alpha_value, exponent_value, FORM)
            if mask is not None:
                if FORWARD:
                    value *= tl.load(mask + source_at, mask=inside, other=0.0).to(ACC)
                else:
                    value *= target_mask
            if scale is not None and not FORWARD:
                value *= tl.load(scale + source_at, mask=inside, other=0.0)
        for start in range(0, source_channels, BC):
            c = start + tl.arange(0, BC).to(IDX)
            some = c < source_channels
            values = tl.load(
                source + c[None, :] * source_plane + source_at[:, None], mask=inside[:, None] & some[None, :], other=0.0
            )
            filters = tl.load(
                weight + (tap * source_channels + c)[:, None] * target_channels + o[None, :],
                mask=some[:, None] & (o < target_channels)[None, :],
                other=0.0,
            )
            scaled = values.to(ACC) * value[:, None]
            if PADDED and FORM == INVERSE:  # an infinite K times the zeros past the last channel is no number
                scaled = tl.where(some[None, :], scaled, 0.0)
            values = scaled.to(filters.dtype)
            sums = tl.dot(values, filters, sums, input_precision=PRECISION, out_dtype=ACC)
    if FORM != GIVEN and scale is not None and FORWARD:
        sums *= tl.load(scale + target_at, mask=target_inside, other=0.0)[:, None]
    if bias is not None:
        sums += tl.load(bias + o, mask=o < target_channels, other=0.0).to(ACC)[None, :]
    at = n * target_channels * target_plane + o[None, :] * target_plane + target_at[:, None]
    stored = target_inside[:, None] & (o < target_channels)[None, :]
    if base is not None:
        sums += tl.load(base + at, mask=stored, other=0.0).to(ACC)
    tl.store(output + at, sums.to(output.dtype.element_ty), mask=stored)
