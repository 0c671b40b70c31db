"""The protocols on real samples: what bilinear gives on NYU Depth V2, and every other layout that is there."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean

import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.suites.joint_upsampling.datasets import Item
from pacbench.suites.joint_upsampling.interpolation import interpolation
from pacbench.suites.joint_upsampling.real_datasets import centre, open_folder, spread
from pacbench.suites.joint_upsampling.sampling import evaluated
from pacbench.suites.joint_upsampling.scoring import error, errors


@pytest.fixture(scope="module")
def samples():
    named = os.environ.get("PACBENCH_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not root.is_dir():
        pytest.skip(f"no real samples: {root} is not there, and PACBENCH_DATA names no other folder")
    return open_folder(root, "quick")


def opened(samples, name):
    if name not in samples:
        pytest.skip(f"no real samples of {name}")
    return samples[name]


def test_bilinear_on_nyu_is_the_known_figure(samples):
    """5.45, 8.40 and 12.97 cm on these 113 frames; 5.43, 8.36 and 12.90 published on all 449."""
    dataset = opened(samples, "nyu").evaluation
    items = list(dataset.items())
    if len(items) != 113:
        pytest.skip(f"{len(items)} frames are there, the figures are of 113")
    upsample = interpolation("bilinear")
    for factor, known, published in ((4, 5.45, 5.43), (8, 8.40, 8.36), (16, 12.97, 12.90)):
        found = fmean(error(dataset, item, upsample(item.at(factor))[0]) for item in items)
        assert found == pytest.approx(known, rel=0.001)
        assert found == pytest.approx(published, rel=0.015)
    left = fmean(error(dataset, item, interpolation("bicubic")(item.at(4, start=0))[0]) for item in items[:20])
    centred = fmean(error(dataset, item, interpolation("bicubic")(item.at(4))[0]) for item in items[:20])
    assert left > 1.4 * centred


def test_nothing_is_tuned_or_trained_on_that_is_tested(samples):
    nyu = opened(samples, "nyu")
    assert set(nyu.tuning.ids).isdisjoint(nyu.evaluation.ids)
    assert all(tuple(item.known.shape) == (240, 320) for item in nyu.tuning.items())


def test_the_noisy_inputs_lie_at_the_centres_of_blocks(samples):
    noisy = opened(samples, "middlebury_noisy").evaluation
    assert not noisy.sampled
    item = noisy.first()
    assert {2, 4, 8, 16} <= set(item.given)
    for factor in (8, 16):
        low = item.at(factor, sampled=False)
        before, after = ((factor - 1) // 2, factor // 2)
        at = {place: item.truth[:, place::factor, place::factor] for place in (0, before, after, factor - 1)}
        apart = {place: float((values - low.values[0]).square().mean()) for place, values in at.items()}
        assert apart[before] == pytest.approx(apart[after], rel=0.05)
        assert max(apart[before], apart[after]) < 0.7 * min(apart[0], apart[factor - 1])


@pytest.mark.parametrize("name", ["middlebury_flow", "sintel", "chairs"])
def test_flow_is_upsampled_and_its_boundaries_are_harder(samples, name):
    dataset = opened(samples, name).evaluation
    item = dataset.first()
    assert tuple(item.truth.shape) == (2, *item.known.shape)
    found = errors(dataset, item, interpolation("bilinear")(item.at(4))[0])
    assert 0 < found["epe"] < found["epe_boundary"]


def test_the_centre_of_a_small_image_is_all_of_it():
    item = Item("x", torch.zeros(3, 20, 400), torch.arange(8000.0).view(1, 20, 400), torch.ones(20, 400).bool())
    middle = centre(item)
    assert tuple(middle.truth.shape) == (1, 20, 320)
    assert float(middle.truth[0, 0, 0]) == 40
    assert spread(("a", "b", "c", "d", "e"), 2) == ("a", "c")
    assert spread(("a", "b"), 5) == ("a", "b")
    assert int(evaluated(item.known).sum()) == 8 * 388


def test_a_folder_without_data_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"expected one of: NYU Depth V2 .*; Middlebury stereo .*; MPI Sintel"):
        open_folder(tmp_path, "quick")
