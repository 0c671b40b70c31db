"""Which pixel a tap meets, by the walks that kernels are specialised on, against the geometry of the operators."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from pacbench.backends.triton import walks
from pacbench.backends.triton.walks import AxisWalk
from pacbench.compiled.encoding import WindowCode
from pacbench.geometry import Window

SIZE = 7

WINDOWS = [
    Window((k, k), (s, s), (p, p), (0, 0), (d, d), transposed)
    for k, s, p, d, transposed in product((1, 3, 5), (1, 2, 3, 4), (0, 1, 2), (1, 2, 3), (False, True))
    if not transposed or (SIZE - 1) * s - 2 * p + (k - 1) * d + 1 > 0
    if transposed or SIZE + 2 * p > (k - 1) * d
]


def pairs(window: Window) -> set[tuple[int, int, int]]:
    """(output, tap, input) along one axis, by the definition of the operators."""
    (k, _), (s, _), (p, _), (d, _), (reach, _) = (
        window.kernel_size, window.stride, window.padding, window.dilation, window.reach
    )  # fmt: skip
    found = set()
    for y, tap in product(range(window.output_size((SIZE, SIZE))[0]), range(k)):
        if window.transposed:
            met, rest = divmod(y + tap * d - (reach - p), s)
        else:
            met, rest = y * s + tap * d - p, 0
        if rest == 0 and 0 <= met < SIZE:
            found.add((y, tap, met))
    return found


def walked(walk: AxisWalk, targets: int, sources: int) -> set[tuple[int, int, int]]:
    """(target, tap, source), phase by phase and with no tap visited that `period` leaves out."""
    found = set()
    for y in range(targets):
        phase, place = y % walk.div, y // walk.div
        met = [tap for tap in range(walk.taps) if (phase + tap * walk.step + walk.offset) % walk.div == 0]
        assert all(later - tap == walk.period for tap, later in pairwise(met))
        for tap in met:
            source = place * walk.mul + (phase + tap * walk.step + walk.offset) // walk.div
            if 0 <= source < sources:
                found.add((y, tap, source))
    return found


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_walks_meet_the_pairs_of_the_definition(window: Window) -> None:
    outputs, wanted = window.output_size((SIZE, SIZE))[0], pairs(window)
    assert walked(walks.forward(window).rows, outputs, SIZE) == wanted
    assert {(y, tap, x) for x, tap, y in walked(walks.backward(window).rows, SIZE, outputs)} == wanted
    near = walks.near(window).rows
    assert near.div == 1
    if window.transposed:
        assert {(y, tap, x) for x, tap, y in walked(near, SIZE, outputs)} == wanted
    else:
        assert walked(near, outputs, SIZE) == wanted


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_fixed_feature_of_an_input_pixel_is_the_tap_of_every_window_that_meets_it(window: Window) -> None:
    """Seen from the input, the guide's pixel at the tap does not move, whichever window and tap meet there."""
    walk, over = walks.backward(window).rows, window.over_guide
    for output, tap, met in pairs(window):
        tap_in_guide = output * over.stride[0] + tap * over.dilation[0] - over.padding[0]
        assert met * walk.fixed_mul + walk.fixed_offset == tap_in_guide


def test_code_keeps_a_window() -> None:
    window = Window((3, 5), (2, 1), (1, 2), (1, 0), (1, 3), True)
    code = WindowCode(*WindowCode.write(window))
    assert code.window == window
    assert code.mask_size(*window.output_size((6, 9))) == (6, 9)
