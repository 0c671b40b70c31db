"""The gradient to a filter: for each tap a GEMM whose inner dimension is all pixels of the batch.

The pixels are split into `splits` parts, each summed by a program of its own into a partial filter; the parts are
then added in order. No atomics: the same bits every time.
"""

import triton.language as tl

from .adapting import GIVEN, feature_tile, kernel_of_distance, squared_distance
from .device_function import kernel
from .walking import MUL, TAPS, fixed_pixels, shift_of, tile_pixels, within


@kernel
def weight_gradient(
    near, far, partial, given, fixed, moving, scale, mask, alpha, exponent,
    near_channels, far_channels, guide_channels, near_height, near_width, far_height, far_width,
    fixed_height, fixed_width, near_blocks, far_blocks, splits, tiles, tile_columns, all_tiles,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, FORM: tl.constexpr, ASYMMETRIC: tl.constexpr,
    OUTPUT_IS_NEAR: tl.constexpr, FIXED_IS_NEAR: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BF: tl.constexpr, BG: tl.constexpr, HOIST: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """partial[s, t, f, c] = Σ over the near pixels p of part s of K(p, t) · far[f, p + t] · near[c, p].

    Near and far as in `kernel_gradient`; K as in `gather_contraction`, OUTPUT_IS_NEAR standing for FORWARD.
    """
    pid = tl.program_id(0).to(IDX)
    near_height, near_width = tl.cast(near_height, IDX), tl.cast(near_width, IDX)
    far_height, far_width = tl.cast(far_height, IDX), tl.cast(far_width, IDX)
    near_channels, far_channels = tl.cast(near_channels, IDX), tl.cast(far_channels, IDX)
    c = (pid % near_blocks) * BN + tl.arange(0, BN).to(IDX)
    pid = pid // near_blocks
    f = (pid % far_blocks) * BF + tl.arange(0, BF).to(IDX)
    pid = pid // far_blocks
    split, tap = pid % splits, pid // splits
    shift_y = shift_of(tap // COLUMNS[TAPS], 0, ROWS)
    shift_x = shift_of(tap % COLUMNS[TAPS], 0, COLUMNS)
    near_plane = near_height * near_width
    far_plane = far_height * far_width
    fixed_plane = fixed_height * fixed_width
    alpha_value, exponent_value = 0.0, 0.0
    if alpha is not None:
        alpha_value, exponent_value = tl.load(alpha).to(ACC), tl.load(exponent).to(ACC)
    some_near, some_far = c < near_channels, f < far_channels
    sums = tl.zeros((BF, BN), dtype=ACC)
    for tile in range(split, all_tiles, splits):
        n = (tile // tiles).to(tl.int64)
        y, x = tile_pixels(tile % tiles, tile_columns, BH, BW, IDX)
        near_inside = (y < near_height) & (x < near_width)
        near_at = y * near_width + x
        far_y, far_x = y * ROWS[MUL] + shift_y, x * COLUMNS[MUL] + shift_x
        inside = near_inside & within(far_y, far_x, far_height, far_width)
        far_at = far_y * far_width + far_x
        if OUTPUT_IS_NEAR:
            output_at, output_plane, input_at, input_plane = near_at, near_plane, far_at, far_plane
        else:
            output_at, output_plane, input_at, input_plane = far_at, far_plane, near_at, near_plane
        if FORM == GIVEN:
            at = (n * (ROWS[TAPS] * COLUMNS[TAPS]) + tap) * output_plane
            value = tl.load(given + at + output_at, mask=inside, other=0.0).to(ACC)
        else:
            fixed_at, fixed_inside = fixed_pixels(
                y, x, near_at, near_inside, fixed_height, fixed_width, FIXED_IS_NEAR, ROWS, COLUMNS
            )
            fixed_of = fixed + n * guide_channels * fixed_plane
            fixed_tile = 0
            if HOIST:
                channels = tl.arange(0, BG).to(IDX)
                fixed_tile = feature_tile(fixed_of, fixed_at, fixed_inside, channels, guide_channels, fixed_plane, ACC)
            distance = squared_distance(
                fixed_of, fixed_at, fixed_inside, fixed_plane, fixed_tile,
                moving + n * guide_channels * far_plane, far_at, inside, far_plane,
                guide_channels, OUTPUT_IS_NEAR, ASYMMETRIC, BG, HOIST, ACC, IDX,
            )  # fmt: skip
            value = kernel_of_distance(distance, alpha_value, exponent_value, FORM)
            if mask is not None:
                value *= tl.load(mask + n * input_plane + input_at, mask=inside, other=0.0).to(ACC)
            if scale is not None:
                value *= tl.load(scale + n * output_plane + output_at, mask=inside, other=0.0)
        # Loads follow the pixels in memory; the dot product wants them as its inner dimension.
        met = tl.load(
            far + n * far_channels * far_plane + f[:, None] * far_plane + far_at[None, :],
            mask=some_far[:, None] & inside[None, :],
            other=0.0,
        )
        values = tl.load(
            near + n * near_channels * near_plane + c[None, :] * near_plane + near_at[:, None],
            mask=near_inside[:, None] & some_near[None, :],
            other=0.0,
        )
        scaled = (met.to(ACC) * value[None, :]).to(values.dtype)
        sums = tl.dot(scaled, values, sums, input_precision=PRECISION, out_dtype=ACC)
    to = ((split * (ROWS[TAPS] * COLUMNS[TAPS]) + tap).to(tl.int64) * far_channels + f)[:, None] * near_channels
    tl.store(partial + to + c[None, :], sums, mask=some_far[:, None] & some_near[None, :])
