"""Joint bilateral upsampling: the transposed operator against the sum of Kopf et al., written as loops."""

import math

import numpy as np
import pytest
import torch

from pacbench.backends.unfold import UnfoldBackend
from pacbench.suites.joint_upsampling.interpolation import aligned_bilinear
from pacbench.suites.joint_upsampling.joint_bilateral import JointBilateral, TapByTap, reach_in_samples
from pacbench.suites.joint_upsampling.sampling import low_resolution

COLOUR_SIGMA, SPATIAL_SIGMA = 40.0, 0.75


def by_loops(guide, truth, known, factor, reach):
    """Kopf et al., section 3: each pixel the weighted mean of the known samples within reach."""
    _, height, width = guide.shape
    start = (factor - 1) // 2
    samples = [
        (y, x)
        for y in range(start, height, factor)
        for x in range(start, width, factor)
        if known[y, x]
    ]  # fmt: skip
    output = np.full(truth.shape, np.nan)
    for y in range(height):
        for x in range(width):
            weighted, weights = np.zeros(len(truth)), 0.0
            for sample_y, sample_x in samples:
                if max(abs(sample_y - y), abs(sample_x - x)) > reach * factor:
                    continue
                distance = ((sample_y - y) ** 2 + (sample_x - x) ** 2) / (SPATIAL_SIGMA * factor) ** 2
                difference = ((guide[:, sample_y, sample_x] - guide[:, y, x]) ** 2).sum() / COLOUR_SIGMA**2
                weight = math.exp(-0.5 * distance) * math.exp(-0.5 * difference)
                weighted += weight * truth[:, sample_y, sample_x]
                weights += weight
            if weights > 1e-12:
                output[:, y, x] = weighted / weights
    return output


def image(height, width, *, holes, colours=3, channels=2):
    rng = np.random.default_rng(height * width)
    guide = rng.random((colours, height, width)) * 120
    truth = rng.random((channels, height, width)) * 50
    known = rng.random((height, width)) < (0.6 if holes else 1.1)
    return guide, truth, known


def tensors(guide, truth, known, factor):
    return low_resolution(torch.from_numpy(guide), torch.from_numpy(truth), torch.from_numpy(known), factor)


@pytest.mark.parametrize("colours", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("holes", [False, True], ids=["all_known", "holes"])
@pytest.mark.parametrize(("factor", "size"), [(2, (9, 10)), (3, (13, 11)), (4, (12, 16)), (4, (13, 15)), (8, (17, 30))])
@pytest.mark.parametrize("method", ["operator", "tap_by_tap"])
def test_it_is_the_weighted_mean_of_the_samples(method, factor, size, holes, colours):
    guide, truth, known = image(*size, holes=holes, colours=colours)
    low = tensors(guide, truth, known, factor)
    upsample = (
        JointBilateral(COLOUR_SIGMA, SPATIAL_SIGMA, UnfoldBackend())
        if method == "operator"
        else TapByTap(COLOUR_SIGMA, SPATIAL_SIGMA)
    )
    expected = by_loops(guide, truth, known, factor, reach_in_samples(factor))
    expected = np.where(np.isnan(expected), aligned_bilinear(low)[0].numpy(), expected)
    np.testing.assert_allclose(upsample(low)[0].numpy(), expected, rtol=1e-9)


def test_a_sample_is_read_where_it_was_taken():
    """With a narrow colour kernel a pixel of unique colour keeps its own value, to the pixel."""
    guide, truth, known = image(16, 16, holes=False)
    upsampled = JointBilateral(1e-2, 1.0, UnfoldBackend())(tensors(guide, truth, known, 4))[0]
    np.testing.assert_allclose(upsampled[:, 1::4, 1::4].numpy(), truth[:, 1::4, 1::4], rtol=1e-12)


def test_pixels_without_a_like_coloured_sample_take_the_bilinear_value():
    guide, truth, known = image(16, 16, holes=False)
    low = tensors(guide, truth, known, 4)
    upsampled = JointBilateral(1e-2, 1.0, UnfoldBackend())(low)
    elsewhere = torch.ones(16, 16, dtype=torch.bool)
    elsewhere[1::4, 1::4] = False
    torch.testing.assert_close(upsampled[0][:, elsewhere], aligned_bilinear(low)[0][:, elsewhere])


def test_values_under_the_mask_do_not_matter():
    guide, truth, known = image(16, 20, holes=True)
    low = tensors(guide, truth, known, 4)
    assert not bool(low.valid.all())
    spoilt = type(low)(low.guide, torch.where(low.valid, low.values, 1e3), low.valid, low.factor)
    upsample = JointBilateral(1e6, 1.0, UnfoldBackend())
    torch.testing.assert_close(upsample(spoilt), upsample(low))


def test_beyond_eight_times_the_window_is_smaller():
    assert [reach_in_samples(factor) for factor in (2, 4, 8, 16)] == [2, 2, 2, 1]
