"""The table of upsampling methods, their tuning, their data and their panels."""

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pacbench.backends.unfold import UnfoldBackend
from pacbench.data.data_error import DataError
from pacbench.suites.joint_upsampling.datasets import Item, UpsamplingDataset, embedded_scenes, motorcycle
from pacbench.suites.joint_upsampling.guided_filter import GuidedFilter
from pacbench.suites.joint_upsampling.interpolation import aligned_bilinear
from pacbench.suites.joint_upsampling.methods import METHODS
from pacbench.suites.joint_upsampling.networks import untrained
from pacbench.suites.joint_upsampling.panels import panel
from pacbench.suites.joint_upsampling.scoring import error
from pacbench.suites.joint_upsampling.tuning import Tuner, settings

BY_NAME = {method.name: method for method in METHODS}
SIZE = (48, 64)


def built(method, factor=4, scalars=None):
    if method.learned:
        torch.manual_seed(0)
        return untrained(method.name, factor, UnfoldBackend())
    return method.build(method.start if scalars is None else scalars, UnfoldBackend())


@pytest.fixture(scope="module", params=["depth", "flow"])
def item(request):
    return embedded_scenes("val", SIZE, 1, request.param).first()


def cut(item, height, width):
    return Item(item.id, item.guide[:, :height, :width], item.truth[:, :height, :width], item.known[:height, :width])


@pytest.mark.parametrize("size", [SIZE, (45, 62)], ids=["whole_blocks", "cut_blocks"])
@pytest.mark.parametrize("factor", [3, 4])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_gives_an_image_and_leaves_its_input_alone(method, factor, size, item):
    if factor == 3 and method.name in ("msg_net", "pac_lite", "pac"):
        with pytest.raises(ValueError, match="got factor 3, expected"):
            built(method, factor)
        return
    low = cut(item, *size).at(factor)
    before = [tensor.clone() for tensor in (low.guide, low.values, low.valid)]
    upsampled = built(method, factor)(low)
    assert tuple(upsampled.shape) == (1, len(item.truth), *size)
    assert upsampled.dtype == torch.float32
    assert bool(torch.isfinite(upsampled).all())
    assert all(map(torch.equal, before, (low.guide, low.values, low.valid)))


@pytest.mark.parametrize("method", [method for method in METHODS if not method.learned], ids=lambda method: method.name)
def test_a_constant_stays_constant(method, item):
    constant = Item(item.id, item.guide, torch.full_like(item.truth, 7.0), item.known)
    upsampled = built(method)(constant.at(4))
    torch.testing.assert_close(upsampled[0], constant.truth, rtol=1e-4, atol=0)


@pytest.mark.parametrize("method", [method for method in METHODS if method.learned], ids=lambda method: method.name)
def test_a_network_sees_values_in_0_to_1_so_that_units_do_not_matter(method, item):
    network = built(method)
    scaled = Item(item.id, item.guide, 3.0 * item.truth + 5.0, item.known)
    expected = 3.0 * network(item.at(4)) + 5.0
    torch.testing.assert_close(network(scaled.at(4)), expected, rtol=1e-3, atol=1e-3 * float(item.truth.abs().max()))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_grey_guide_is_looked_at_or_refused(method, item):
    grey = Item(item.id, item.guide.mean(dim=0, keepdim=True), item.truth, item.known)
    if method.learned:
        with pytest.raises(ValueError, match=r"got a guide \(1, 1, 48, 64\), expected \(1, 3, 48, 64\)"):
            built(method)(grey.at(4))
        return
    upsampled = built(method)(grey.at(4))
    assert tuple(upsampled.shape) == (1, len(item.truth), *SIZE)
    assert bool(torch.isfinite(upsampled).all())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_holes_do_not_spread(method, item):
    """Unknown pixels, NaN among them, reach no result; what a file holds there does not matter."""
    known = torch.rand(SIZE, generator=torch.Generator().manual_seed(0)) < 0.8
    results = [
        built(method)(Item(item.id, item.guide, torch.where(known, item.truth, hole), known).at(4))
        for hole in (float("nan"), 1e9)
    ]
    assert bool(torch.isfinite(results[0]).all())
    assert torch.equal(*results)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_tuning_starts_from_a_value_of_the_grid(method):
    assert method.grid.keys() == method.start.keys()
    assert all(method.start[name] in values for name, values in method.grid.items())


def test_the_backend_and_the_direct_sum_agree_so_that_tuning_is_of_the_same_method(item):
    method, low = BY_NAME["joint_bilateral"], item.at(4)
    by_backend, directly = (method.build(method.start, backend)(low) for backend in (UnfoldBackend(), None))
    torch.testing.assert_close(by_backend, directly, rtol=1e-4, atol=1e-2)


def test_the_guided_filter_is_opencv_s_on_the_aligned_bilinear_image(item):
    low = item.at(4)
    guide = np.ascontiguousarray(item.guide.permute(1, 2, 0).numpy() / 255)
    found = GuidedFilter(2.0, 1e-3)(low)[0].numpy()
    for channel, values in enumerate(aligned_bilinear(low)[0].numpy()):
        expected = cv2.ximgproc.guidedFilter(guide, values, 8, 1e-3)
        np.testing.assert_allclose(found[channel], expected, rtol=1e-5, atol=1e-5)


def test_the_guide_helps():
    """On the scenes, methods that look at the guide beat those that do not."""
    dataset = embedded_scenes("val", (96, 128), 2)
    items = list(dataset.items())

    def rmse(name):
        upsample = built(BY_NAME[name])
        return sum(error(dataset, item, upsample(item.at(4))[0]) for item in items)

    assert rmse("joint_bilateral") < 0.8 * rmse("bilinear_aligned")
    assert rmse("bilateral_solver") < rmse("bilinear_aligned")
    assert rmse("guided_filter") < rmse("bilinear_aligned") < rmse("bilinear") < rmse("nearest")


@pytest.mark.parametrize("kind", ["depth", "flow"])
def test_tuning_takes_the_best_of_the_grid_on_the_images_given_only(kind):
    dataset = embedded_scenes("train", SIZE, 2, kind)
    method = BY_NAME["guided_filter"]
    tuned = Tuner().tuned(method, 4, dataset)
    tried = {}
    for scalars in settings(method.grid):
        upsample = method.build(scalars, None)
        found = [upsample(item.at(4))[0] - item.truth for item in dataset.items()]
        if kind == "depth":
            errors = [float(difference[0, 6:-6, 6:-6].double().square().mean().sqrt()) for difference in found]
        else:
            errors = [float(difference.double().square().sum(0).sqrt().mean()) for difference in found]
        tried[tuple(scalars.items())] = sum(errors) / len(errors)
    assert tuned.error == pytest.approx(min(tried.values()))
    assert tried[tuple(tuned.values.items())] == pytest.approx(tuned.error)
    assert tuned.settings == len(tried) == 15
    assert "on 2 images at factor 4 (embedded scenes" in tuned.note()
    assert Tuner().tuned(BY_NAME["bilinear"], 4, dataset) is None


def test_the_motorcycle_has_unknown_disparities_and_depth_is_in_centimetres():
    item = embedded_scenes("val", SIZE, 1).first()
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


def test_a_panel_shows_five_pictures():
    item = embedded_scenes("val", SIZE, 1).first()
    low = item.at(4)
    png = panel(item, low, aligned_bilinear(low)[0])
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (5 * SIZE[1] + 4 * 4, SIZE[0])
        pixels = np.asarray(picture)
    np.testing.assert_array_equal(pixels[:, : SIZE[1]], item.guide.permute(1, 2, 0).numpy().astype(np.uint8))
