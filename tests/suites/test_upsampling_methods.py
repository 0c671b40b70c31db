"""The table of upsampling methods, their tuning, their data and their panels."""

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pacbench.backends.unfold import UnfoldBackend
from pacbench.data.data_error import DataError
from pacbench.metrics.root_mean_square_error import root_mean_square_error
from pacbench.suites.joint_upsampling.datasets import Item, UpsamplingDataset, embedded_scenes, motorcycle
from pacbench.suites.joint_upsampling.guided_filter import GuidedFilter
from pacbench.suites.joint_upsampling.interpolation import aligned_bilinear
from pacbench.suites.joint_upsampling.methods import METHODS
from pacbench.suites.joint_upsampling.panels import panel
from pacbench.suites.joint_upsampling.sampling import evaluated, low_resolution
from pacbench.suites.joint_upsampling.tuning import Tuner, settings

BY_NAME = {method.name: method for method in METHODS}
SIZE = (48, 64)


def at_factor(item, factor):
    return low_resolution(item.guide, item.truth, item.known, factor)


@pytest.fixture(scope="module")
def item():
    return embedded_scenes("val", SIZE, 1).first()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_gives_an_image_and_leaves_its_input_alone(method, item):
    low = at_factor(item, 4)
    before = [tensor.clone() for tensor in (low.guide, low.values, low.valid)]
    upsampled = method.build(method.start, UnfoldBackend())(low)
    assert tuple(upsampled.shape) == (1, 1, *SIZE)
    assert upsampled.dtype == torch.float32
    assert bool(torch.isfinite(upsampled).all())
    assert all(map(torch.equal, before, (low.guide, low.values, low.valid)))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_constant_stays_constant(method, item):
    constant = Item(item.id, item.guide, torch.full(SIZE, 7.0), item.known)
    upsampled = method.build(method.start, UnfoldBackend())(at_factor(constant, 4))
    torch.testing.assert_close(upsampled, torch.full((1, 1, *SIZE), 7.0), rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_tuning_starts_from_a_value_of_the_grid(method):
    assert method.grid.keys() == method.start.keys()
    assert all(method.start[name] in values for name, values in method.grid.items())


def test_the_backend_and_the_direct_sum_agree_so_that_tuning_is_of_the_same_method(item):
    method, low = BY_NAME["joint_bilateral"], at_factor(item, 4)
    by_backend, directly = (method.build(method.start, backend)(low) for backend in (UnfoldBackend(), None))
    torch.testing.assert_close(by_backend, directly, rtol=1e-4, atol=1e-2)


def test_the_guided_filter_is_opencv_s_on_the_aligned_bilinear_image(item):
    low = at_factor(item, 4)
    guide = np.ascontiguousarray(item.guide.permute(1, 2, 0).numpy() / 255)
    expected = cv2.ximgproc.guidedFilter(guide, aligned_bilinear(low)[0, 0].numpy(), 8, 1e-3)
    np.testing.assert_allclose(GuidedFilter(2.0, 1e-3)(low)[0, 0].numpy(), expected, rtol=1e-5)


def test_the_guide_helps():
    """On the scenes, methods that look at the guide beat those that do not."""
    items = [item for item in embedded_scenes("val", (96, 128), 2).items() if isinstance(item, Item)]

    def rmse(name):
        method = BY_NAME[name]
        found = [
            root_mean_square_error(
                method.build(method.start, None)(at_factor(item, 4))[0, 0], item.truth, evaluated(item.known)
            )
            for item in items
        ]
        return sum(found)

    assert rmse("joint_bilateral") < 0.8 * rmse("bilinear_aligned")
    assert rmse("guided_filter") < rmse("bilinear_aligned") < rmse("bilinear") < rmse("nearest")


def test_tuning_takes_the_best_of_the_grid_on_the_train_scenes_only():
    dataset = embedded_scenes("train", SIZE, 2)
    method = BY_NAME["guided_filter"]
    tuned = Tuner(dataset).tuned(method, 4)
    tried = {}
    for scalars in settings(method.grid):
        upsample = method.build(scalars, None)
        errors = [
            root_mean_square_error(upsample(at_factor(item, 4))[0, 0], item.truth, evaluated(item.known))
            for item in dataset.items()
        ]
        tried[tuple(scalars.items())] = sum(errors) / len(errors)
    assert tuned.rmse == pytest.approx(min(tried.values()))
    assert tried[tuple(tuned.values.items())] == pytest.approx(tuned.rmse)
    assert tuned.settings == len(tried) == 12
    assert "2 train scenes" in tuned.note()
    assert Tuner(dataset).tuned(BY_NAME["bilinear"], 4) is None


def test_the_motorcycle_has_unknown_disparities_and_depth_is_in_centimetres(item):
    machine = motorcycle().first()
    assert tuple(machine.guide.shape) == (3, 240, 320)
    assert 0.8 < float(machine.known.float().mean()) < 1
    assert 100 < float(item.truth.min()) < float(item.truth.max()) < 2000


def test_an_image_that_cannot_be_read_is_named_and_the_rest_goes_on(item):
    def load(item_id):
        if item_id == "bad":
            raise DataError("folder/bad.png: got a truncated file, expected a PNG")
        return item

    dataset = UpsamplingDataset("some", ("bad", "good"), load, "")
    found = list(dataset.items())
    assert isinstance(found[0], DataError)
    assert found[1] is item
    assert dataset.first() is item
    with pytest.raises(DataError, match=r"bad\.png"):
        UpsamplingDataset("none", ("bad",), load, "").first()


def test_a_panel_shows_five_pictures(item):
    low = at_factor(item, 4)
    png = panel(item, low, aligned_bilinear(low)[0, 0])
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (5 * SIZE[1] + 4 * 4, SIZE[0])
        pixels = np.asarray(picture)
    np.testing.assert_array_equal(pixels[:, : SIZE[1]], item.guide.permute(1, 2, 0).numpy().astype(np.uint8))
