"""The gradient to the adapting kernel of a convolution: for each pixel and tap one bilinear form in the filter.

dK[i, t] = Σ_o Σ_c g[o, i] W[o, c, t] v[c, i + t]. A program holds pixels of the *near* image (from which every tap
meets a whole pixel: the output of a convolution, the input of a transposed one), multiplies them with the tap's filter
on tensor cores, and sums the product with what the tap meets in the *far* image.
"""

import triton.language as tl

from .device_function import kernel, sum_over
from .walking import MUL, TAPS, shift_of, tile_pixels, within


@kernel
def kernel_gradient(
    near, far, weight, output,
    near_channels, far_channels, near_height, near_width, far_height, far_width, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, OUTPUT_IS_NEAR: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BF: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """output[n, t, i] by near (N, near_channels, ...), far (N, far_channels, ...), weight (taps, near, far channels).

    i is the near pixel with OUTPUT_IS_NEAR, else the far one; pairs outside the far image are then left unwritten.
    """
    pid = tl.program_id(0).to(IDX)
    near_height, near_width = tl.cast(near_height, IDX), tl.cast(near_width, IDX)
    far_height, far_width = tl.cast(far_height, IDX), tl.cast(far_width, IDX)
    near_channels, far_channels = tl.cast(near_channels, IDX), tl.cast(far_channels, IDX)
    n = (pid // tiles).to(tl.int64)
    y, x = tile_pixels(pid % tiles, tile_columns, BH, BW, IDX)
    near_inside = (y < near_height) & (x < near_width)
    near_at = y * near_width + x
    near_plane = near_height * near_width
    far_plane = far_height * far_width
    near += n * near_channels * near_plane
    far += n * far_channels * far_plane
    output += n * (ROWS[TAPS] * COLUMNS[TAPS]) * (near_plane if OUTPUT_IS_NEAR else far_plane)
    row, column = y * ROWS[MUL], x * COLUMNS[MUL]
    for tap in range(ROWS[TAPS] * COLUMNS[TAPS]):
        far_y = row + shift_of(tap // COLUMNS[TAPS], 0, ROWS)
        far_x = column + shift_of(tap % COLUMNS[TAPS], 0, COLUMNS)
        inside = near_inside & within(far_y, far_x, far_height, far_width)
        far_at = far_y * far_width + far_x
        total = tl.zeros((BH * BW,), dtype=ACC)
        for far_start in range(0, far_channels, BF):
            f = far_start + tl.arange(0, BF).to(IDX)
            some_far = f < far_channels
            product = tl.zeros((BH * BW, BF), dtype=ACC)
            for near_start in range(0, near_channels, BN):
                c = near_start + tl.arange(0, BN).to(IDX)
                some = c < near_channels
                values = tl.load(
                    near + c[None, :] * near_plane + near_at[:, None],
                    mask=near_inside[:, None] & some[None, :],
                    other=0.0,
                )
                filters = tl.load(
                    weight + (tap * near_channels + c)[:, None] * far_channels + f[None, :],
                    mask=some[:, None] & some_far[None, :],
                    other=0.0,
                )
                product = tl.dot(values, filters, product, input_precision=PRECISION, out_dtype=ACC)
            met = tl.load(
                far + f[None, :] * far_plane + far_at[:, None], mask=inside[:, None] & some_far[None, :], other=0.0
            )
            total += sum_over(product * met.to(ACC), axis=1)
        if OUTPUT_IS_NEAR:
            tl.store(output + tap * near_plane + near_at, total.to(output.dtype.element_ty), mask=near_inside)
        else:
            tl.store(output + tap * far_plane + far_at, total.to(output.dtype.element_ty), mask=inside)
