"""The gradients of a pooling or of shared filters to the adapting kernel and to the filter: products over channels.

r[p, t] = Σ_c near[c, p] · far[c, p + t]; then dK[p, t] = r · weight_t, and dweight_t = Σ_p r · K. Near and far images
as in `kernel_gradient.py`.
"""

import triton.language as tl

from .device_function import kernel, sum_over
from .walking import MUL, TAPS, shift_of, tile_pixels, within


@kernel
def sum_gradient(
    near, far, weight, kernel, grad_kernel, partial,
    channel_count, near_height, near_width, far_height, far_width, tiles, tile_columns,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, OUTPUT_IS_NEAR: tl.constexpr,
    BH: tl.constexpr, BW: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr, IDX: tl.constexpr,
):  # fmt: skip
    """grad_kernel[image, t, i] and, of each program, partial[program, t]; either may be None.

    For a channel-wise kernel every channel is an image: then channel_count is 1, and there is no filter. Pairs outside
    the far image are left unwritten unless OUTPUT_IS_NEAR.
    """
    pid = tl.program_id(0).to(IDX)
    near_height, near_width = tl.cast(near_height, IDX), tl.cast(near_width, IDX)
    far_height, far_width = tl.cast(far_height, IDX), tl.cast(far_width, IDX)
    image = (pid // tiles).to(tl.int64)
    y, x = tile_pixels(pid % tiles, tile_columns, BH, BW, IDX)
    near_inside = (y < near_height) & (x < near_width)
    near_at = y * near_width + x
    near_plane, far_plane = near_height * near_width, far_height * far_width
    near += image * channel_count * near_plane
    far += image * channel_count * far_plane
    output_plane = near_plane if OUTPUT_IS_NEAR else far_plane
    taps: tl.constexpr = ROWS[TAPS] * COLUMNS[TAPS]
    row, column = y * ROWS[MUL], x * COLUMNS[MUL]
    for tap in range(taps):
        far_y = row + shift_of(tap // COLUMNS[TAPS], 0, ROWS)
        far_x = column + shift_of(tap % COLUMNS[TAPS], 0, COLUMNS)
        inside = near_inside & within(far_y, far_x, far_height, far_width)
        far_at = far_y * far_width + far_x
        output_at = near_at if OUTPUT_IS_NEAR else far_at
        product = tl.zeros((BH * BW,), dtype=ACC)
        for start in range(0, channel_count, BC):
            c = start + tl.arange(0, BC).to(IDX)
            here = inside[:, None] & (c < channel_count)[None, :]
            values = tl.load(near + c[None, :] * near_plane + near_at[:, None], mask=here, other=0.0).to(ACC)
            met = tl.load(far + c[None, :] * far_plane + far_at[:, None], mask=here, other=0.0).to(ACC)
            product += sum_over(values * met, axis=1)
        at = (image * taps + tap) * output_plane + output_at
        if partial is not None:
            value = tl.load(kernel + at, mask=inside, other=0.0).to(ACC)
            tl.store(partial + pid.to(tl.int64) * taps + tap, sum_over(product * value, axis=0))
        if grad_kernel is not None:
            if weight is not None:
                product *= tl.load(weight + tap).to(ACC)
            stored = near_inside if OUTPUT_IS_NEAR else inside
            tl.store(grad_kernel + at, product.to(grad_kernel.dtype.element_ty), mask=stored)
