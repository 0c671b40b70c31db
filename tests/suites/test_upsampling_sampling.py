"""The protocol of joint upsampling: which pixels are sampled, filled and evaluated."""

import numpy as np
import pytest
import torch

from pacbench.suites.joint_upsampling.interpolation import aligned_bilinear, interpolation
from pacbench.suites.joint_upsampling.sampling import (
    evaluated,
    filled_by_nearest,
    low_resolution,
    offset,
    padded_to_blocks,
)


def sampled(truth, factor, known=None):
    known = torch.ones(truth.shape, dtype=torch.bool) if known is None else known
    return low_resolution(torch.zeros(3, *truth.shape), truth[None], known, factor)


def ramp(height, width, *, along):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (rows if along == 0 else columns).to(torch.float64)


@pytest.mark.parametrize(("factor", "first"), [(2, 0), (3, 1), (4, 1), (8, 3), (16, 7)])
def test_samples_are_pixels_beginning_at_the_offset(factor, first):
    low = sampled(ramp(50, 37, along=1), factor)
    assert offset(factor) == first
    assert low.values[0, 0, 0].tolist() == list(range(first, 37, factor))
    assert low.values.shape[2] == len(range(first, 50, factor))


def test_unknown_pixels_are_filled_with_the_nearest_known_one():
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.random((9, 11)))
    known = torch.from_numpy(rng.random((9, 11)) < 0.4)
    filled = filled_by_nearest(truth[None], known)[0]
    places = [(y, x) for y in range(9) for x in range(11) if known[y, x]]
    for y in range(9):
        for x in range(11):
            distances = {place: (place[0] - y) ** 2 + (place[1] - x) ** 2 for place in places}
            nearest = [truth[place] for place, distance in distances.items() if distance == min(distances.values())]
            assert filled[y, x] in nearest
    low = low_resolution(torch.zeros(3, 9, 11), truth[None], known, 2)
    assert torch.equal(low.valid[0, 0], known[::2, ::2])
    assert torch.equal(low.values[0, 0], filled[::2, ::2])


def test_what_is_unknown_never_reaches_a_sample():
    truth = torch.full((6, 6), float("nan"))
    truth[2, 3] = 5.0
    low = sampled(truth, 2, known=torch.isfinite(truth))
    assert torch.equal(low.values, torch.full((1, 1, 3, 3), 5.0))


def test_six_pixels_at_each_border_and_unknown_pixels_do_not_count():
    known = torch.ones(20, 30, dtype=torch.bool)
    known[10, 10] = False
    mask = evaluated(known)
    assert int(mask.sum()) == 8 * 18 - 1
    assert mask[6:14, 6:24].sum() == mask.sum()


@pytest.mark.parametrize("size", [(24, 32), (25, 31), (26, 30), (27, 33)])
@pytest.mark.parametrize("factor", [3, 4, 5])
def test_aligned_bilinear_keeps_a_ramp_where_samples_surround_the_pixel(size, factor):
    for along in (0, 1):
        truth = ramp(*size, along=along)
        low = sampled(truth, factor)
        first, last = float(low.values.min()), float(low.values.max())
        assert tuple(aligned_bilinear(low).shape) == (1, 1, *size)
        torch.testing.assert_close(aligned_bilinear(low)[0, 0], truth.clamp(first, last))


@pytest.mark.parametrize("size", [(24, 32), (25, 31), (27, 33)])
def test_align_corners_false_shifts_a_ramp_by_half_a_pixel(size):
    truth = ramp(*size, along=1)
    upsampled = interpolation("bilinear")(sampled(truth, 4))[0, 0]
    assert tuple(upsampled.shape) == size
    torch.testing.assert_close(upsampled[:, 6:-6], truth[:, 6:-6] - 0.5)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_nearest_repeats_the_sample_of_each_block(factor):
    truth = ramp(4 * factor + 1, 3 * factor, along=0)
    expected = (truth // factor * factor + offset(factor)).clamp(max=float(sampled(truth, factor).values.max()))
    torch.testing.assert_close(interpolation("nearest")(sampled(truth, factor))[0, 0], expected)


@pytest.mark.parametrize(
    ("factor", "shapes", "message"),
    [
        (1, ((3, 8, 8), (1, 8, 8), (8, 8)), "got factor 1, expected 2 or more"),
        (4, ((3, 8, 9), (1, 8, 8), (8, 8)), "expected \\(G, H, W\\), \\(C, H, W\\) and \\(H, W\\)"),
        (4, ((3, 8, 8), (8, 8), (8, 8)), "expected \\(G, H, W\\), \\(C, H, W\\) and \\(H, W\\)"),
        (16, ((3, 7, 40), (1, 7, 40), (7, 40)), "7 x 40 pixels, expected more than 7"),
    ],
)
def test_bad_sampling_is_refused(factor, shapes, message):
    guide, truth, known = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        low_resolution(guide, truth, known.bool() | True, factor)


def test_an_image_without_a_known_pixel_is_refused():
    with pytest.raises(ValueError, match="without a known pixel"):
        sampled(torch.zeros(8, 8), 2, known=torch.zeros(8, 8, dtype=torch.bool))


@pytest.mark.parametrize("hole", [float("nan"), float("inf")])
def test_a_known_depth_that_is_not_finite_is_refused(hole):
    truth = torch.zeros(8, 8)
    truth[3, 5] = hole
    with pytest.raises(ValueError, match="got 1 known pixels whose truth is not finite, expected such to be unknown"):
        sampled(truth, 2)
    assert bool(torch.isfinite(sampled(truth, 2, known=torch.isfinite(truth)).values).all())


def test_flow_has_no_border_that_is_not_evaluated():
    known = torch.ones(9, 8, dtype=torch.bool)
    assert torch.equal(evaluated(known, border=0), known)


@pytest.mark.parametrize("size", [(8, 12), (9, 10), (11, 13)])
def test_an_image_is_padded_to_whole_blocks(size):
    guide, truth = torch.rand(3, *size), torch.rand(2, *size)
    low = low_resolution(guide, truth, torch.ones(size, dtype=torch.bool), 4)
    whole, samples = padded_to_blocks(low)
    assert [4 * count for count in samples.shape[2:]] == list(whole.shape[2:]) == [-(-side // 4) * 4 for side in size]
    assert torch.equal(whole[0, :, : size[0], : size[1]], guide)
    assert torch.equal(samples[:, :, : low.values.shape[2], : low.values.shape[3]], low.values)
    assert torch.equal(whole[0, :, -1, : size[1]], guide[:, -1])


def test_samples_can_begin_elsewhere():
    low = low_resolution(torch.zeros(3, 8, 8), ramp(8, 8, along=0)[None], torch.ones(8, 8, dtype=torch.bool), 4, 0)
    assert low.values[0, 0, :, 0].tolist() == [0, 4]
