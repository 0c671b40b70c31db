"""Which pixels a program computes, and which pixel each tap of its window meets.

Along one axis, target pixel y meets with tap t the source pixel (y · mul + t · step + offset) / div, where that is a
whole number; an `AxisWalk` (`walks.py`) holds the numbers, as a tuple that kernels are specialised on. Where div > 1
(a transposed operator forwards, a strided one backwards) a program's targets all have the same remainder modulo div,
its phase: then the same taps, every `period`-th, meet a pixel for all of them, and no other tap is touched.
"""

import triton.language as tl

from .device_function import device_function

TAPS = tl.constexpr(0)
MUL = tl.constexpr(1)
DIV = tl.constexpr(2)
STEP = tl.constexpr(3)
OFFSET = tl.constexpr(4)
PERIOD = tl.constexpr(5)
FIXED_MUL = tl.constexpr(6)
FIXED_OFFSET = tl.constexpr(7)
MOVING_MUL = tl.constexpr(8)
MOVING_STEP = tl.constexpr(9)
MOVING_OFFSET = tl.constexpr(10)


@device_function
def tile_pixels(tile, tile_columns, BH: tl.constexpr, BW: tl.constexpr, IDX: tl.constexpr):
    """Rows and columns, (BH · BW,), of a tile of BH x BW pixels."""
    p = tl.arange(0, BH * BW).to(IDX)
    return (tile // tile_columns) * BH + p // BW, (tile % tile_columns) * BW + p % BW


@device_function
def first_tap(phase, WALK: tl.constexpr):
    """The first tap that meets a pixel for targets of a phase; the number of taps where none does."""
    first = phase * 0 + WALK[TAPS]
    period: tl.constexpr = WALK[PERIOD]  # Triton before 3.7 takes an element of a tuple for no constant
    for back in tl.static_range(period):
        tap = period - 1 - back
        if tap < WALK[TAPS]:
            meets = (phase + (tap * WALK[STEP] + WALK[OFFSET]) % WALK[DIV]) % WALK[DIV] == 0
            first = tl.where(meets, tap, first)
    return first


@device_function
def taps_met(first_y, first_x, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """How many taps meet a pixel, by the first of each axis: in all, and in a row."""
    count_x = tl.cdiv(COLUMNS[TAPS] - first_x, COLUMNS[PERIOD])
    return tl.cdiv(ROWS[TAPS] - first_y, ROWS[PERIOD]) * count_x, count_x


@device_function
def nth_tap(index, count_x, first_y, first_x, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Row, column and place in the window of a tap, by its place among those that meet a pixel."""
    tap_y = first_y + (index // count_x) * ROWS[PERIOD]
    tap_x = first_x + (index % count_x) * COLUMNS[PERIOD]
    return tap_y, tap_x, tap_y * COLUMNS[TAPS] + tap_x


@device_function
def shift_of(tap, phase, WALK: tl.constexpr):
    """What is added to a target's place within its phase to find the pixel that a tap meets."""
    if WALK[DIV] == 1:
        shift = tap * WALK[STEP] + WALK[OFFSET]
    else:
        shift = (phase + tap * WALK[STEP] + WALK[OFFSET]) // WALK[DIV]  # without remainder
    return shift


@device_function
def program_pixels(
    pid, tiles, tile_columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
    IDX: tl.constexpr,
):  # fmt: skip
    """Of a program that computes a tile of one phase of an image.

    Returns the image; the targets' rows and columns within their phase, and in the image; the phase; the first taps
    that meet a pixel; how many do, in all and in a row.
    """
    phases: tl.constexpr = ROWS[DIV] * COLUMNS[DIV]
    n = (pid // (tiles * phases)).to(tl.int64)
    row, column = tile_pixels(pid % tiles, tile_columns, BH, BW, IDX)
    if phases == 1:
        phase_y, phase_x = 0, 0
        y, x = row, column
        first_y, first_x = 0, 0
        count, count_x = ROWS[TAPS] * COLUMNS[TAPS], COLUMNS[TAPS]
    else:
        phase = pid // tiles % phases
        phase_y, phase_x = phase // COLUMNS[DIV], phase % COLUMNS[DIV]
        y, x = row * ROWS[DIV] + phase_y, column * COLUMNS[DIV] + phase_x
        first_y, first_x = first_tap(phase_y, ROWS), first_tap(phase_x, COLUMNS)
        count, count_x = taps_met(first_y, first_x, ROWS, COLUMNS)
    return n, row, column, y, x, phase_y, phase_x, first_y, first_x, count, count_x


@device_function
def fixed_pixels(
    y, x, at, inside, height, width, IS_TARGET: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    """Where the fixed features of pixels lie, and which of them are in their image: at the pixels where IS_TARGET."""
    if IS_TARGET:
        fixed_at, fixed_inside = at, inside
    else:
        fixed_y, fixed_x = y * ROWS[FIXED_MUL] + ROWS[FIXED_OFFSET], x * COLUMNS[FIXED_MUL] + COLUMNS[FIXED_OFFSET]
        fixed_at, fixed_inside = fixed_y * width + fixed_x, inside & within(fixed_y, fixed_x, height, width)
    return fixed_at, fixed_inside


@device_function
def moving_pixels(
    y, x, inside, tap_y, tap_x, source_at, source_inside, height, width,
    IS_SOURCE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Where the features that a tap compares lie, and which of them are in their image: at its source if IS_SOURCE."""
    if IS_SOURCE:
        moving_at, moving_inside = source_at, source_inside
    else:
        moving_y = y * ROWS[MOVING_MUL] + (tap_y * ROWS[MOVING_STEP] + ROWS[MOVING_OFFSET])
        moving_x = x * COLUMNS[MOVING_MUL] + (tap_x * COLUMNS[MOVING_STEP] + COLUMNS[MOVING_OFFSET])
        moving_at, moving_inside = moving_y * width + moving_x, inside & within(moving_y, moving_x, height, width)
    return moving_at, moving_inside


@device_function
def within(y, x, height, width):
    """Whether a pixel lies in an image."""
    return (y >= 0) & (y < height) & (x >= 0) & (x < width)
