"""Bootstrap intervals: coverage, pairs, and sets that have none."""

import numpy as np
import pytest

from pacbench.metrics.bootstrap import interval, paired_interval


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(5, 2, 400)
    found = interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)
    assert interval(values) == found


def test_the_mean_lies_in_the_interval_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = [(found := interval(rng.exponential(1.0, 60))).low <= 1.0 <= found.high for _ in range(100)]
    assert 0.85 <= np.mean(inside) <= 1.0


def test_another_statistic_can_be_asked_for():
    values = [1.0, 2.0, 3.0, 4.0, 100.0]
    found = interval(values, np.median)
    assert found.value == 3.0
    assert found.high <= 100.0


def test_pairs_tell_methods_apart_that_images_hide():
    rng = np.random.default_rng(3)
    images = rng.normal(10, 5, 50)
    better = images - 0.2 + rng.normal(0, 0.1, 50)
    apart, paired = interval(better), paired_interval(better, images)
    assert apart.low < images.mean() < apart.high
    assert paired.high < 0
    assert paired.value == pytest.approx((better - images).mean())


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_what_cannot_be_resampled_has_no_interval(values):
    assert interval(values) is None


def test_different_images_are_refused():
    with pytest.raises(ValueError, match="got 2 and 3 images, expected the same ones"):
        paired_interval([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="expected one number an image"):
        interval(np.zeros((2, 2)))
