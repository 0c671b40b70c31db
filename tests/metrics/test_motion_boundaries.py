"""Motion boundaries: where they are, how far they reach, and what unknown flow does to them."""

import numpy as np
import pytest
import torch

from pacbench.metrics.motion_boundaries import near_motion_boundaries


def step(height=21, width=30, column=12, jump=3.0):
    flow = torch.zeros(2, height, width)
    flow[0, :, column:] = jump
    return flow, torch.ones(height, width, dtype=torch.bool)


def by_loops(flow, known, distance):
    """Sundaram et al., section 4, pixel by pixel."""
    _, height, width = flow.shape
    boundary = []
    for y in range(height):
        for x in range(width):
            change = 0.0
            for other_y, other_x in ((y + 1, x), (y, x + 1)):
                if known[y, x] and other_y < height and other_x < width and known[other_y, other_x]:
                    change += float(((flow[:, other_y, other_x] - flow[:, y, x]) ** 2).sum())
            if known[y, x] and change > 0.01 * float((flow[:, y, x] ** 2).sum()) + 0.002:
                boundary.append((y, x))
    near = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            near[y, x] = any(np.hypot(y - by, x - bx) <= distance for by, bx in boundary)
    return near


@pytest.mark.parametrize("holes", [False, True])
def test_it_is_the_definition(holes):
    rng = np.random.default_rng(0)
    flow = rng.normal(0, 0.03, (2, 17, 19))
    flow[:, 5:9, 4:10] += 2
    known = rng.random((17, 19)) < (0.8 if holes else 1.1)
    flow[:, ~known] = np.nan
    found = near_motion_boundaries(torch.from_numpy(flow), torch.from_numpy(known), 3.0)
    np.testing.assert_array_equal(found.numpy(), by_loops(np.nan_to_num(flow), known, 3.0))


def test_five_pixels_on_both_sides_of_a_step():
    near = near_motion_boundaries(*step())
    assert near[10].nonzero().flatten().tolist() == list(range(6, 17))


def test_smooth_flow_and_small_steps_have_no_boundary():
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    smooth = torch.stack([5 + 0.02 * columns, 5 + 0.02 * rows])
    assert not bool(near_motion_boundaries(smooth, torch.ones(20, 20, dtype=torch.bool)).any())
    assert not bool(near_motion_boundaries(*step(jump=0.04)).any())


def test_unknown_flow_makes_no_boundary():
    flow, known = step()
    known[:, 11] = False
    assert not bool(near_motion_boundaries(flow, known).any())


@pytest.mark.parametrize("known", [torch.ones(4, 5), torch.ones(5, 4, dtype=torch.bool)])
def test_other_shapes_and_dtypes_are_refused(known):
    with pytest.raises(ValueError, match=r"expected \(2, H, W\) and bool \(H, W\)"):
        near_motion_boundaries(torch.zeros(2, 4, 5), known)
