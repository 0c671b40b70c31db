"""The embedded scenes: deterministic, and right in labels, depth and flow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from pacbench.data.data_error import DataError
from pacbench.data.scenes import (
    CLASS_NAMES,
    NUM_CLASSES,
    SPLITS,
    VOID,
    Scene,
    layout_of,
    pixel_grid,
    rasterise,
    scene,
    scenes,
)

SMALL = (60, 80)
FIELDS = ("image", "labels", "depth", "flow")


@pytest.fixture(scope="module")
def val_scenes() -> list[Scene]:
    return list(scenes("val", 8, (120, 160)))


def _same(first: Scene, second: Scene) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in FIELDS)


def test_the_same_arguments_give_the_same_scene_whatever_the_global_seeds() -> None:
    first = scene("val", 3, SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        second = scene("val", 3, SMALL)
    assert _same(first, second)


def test_another_process_makes_the_same_scene() -> None:
    code = (
        "import sys; from pacbench.data.scenes import scene; s = scene('train', 5, (60, 80)); "
        "[sys.stdout.buffer.write(t.numpy().tobytes()) for t in (s.image, s.labels, s.depth, s.flow)]"
    )
    made = scene("train", 5, SMALL)
    expected = b"".join(getattr(made, name).numpy().tobytes() for name in FIELDS)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == expected


def test_scenes_differ_between_indices_and_splits() -> None:
    made = [scene(split, index, SMALL).image for split in SPLITS for index in range(3)]
    assert not any(torch.equal(a, b) for k, a in enumerate(made) for b in made[:k])


@pytest.mark.parametrize("size", [(8, 8), (37, 91), (120, 40), (240, 320)], ids=str)
def test_every_size_has_the_shapes_dtypes_and_ranges_that_the_docstring_states(size: tuple[int, int]) -> None:
    made = scene("val", 0, size)
    assert made.id == "val_0000"
    assert made.image.shape == (3, *size)
    assert made.image.dtype == torch.float32
    assert made.image.min() >= 0
    assert made.image.max() <= 255
    assert torch.equal(made.image, made.image.round())
    assert made.labels.shape == size
    assert made.labels.dtype == torch.int64
    assert set(made.labels.unique().tolist()) <= {*range(NUM_CLASSES), VOID}
    assert made.depth.shape == size
    assert made.depth.dtype == torch.float32
    assert made.depth.min() > 0.8
    assert made.depth.max() < 14
    assert made.flow.shape == (2, *size)
    assert made.flow.dtype == torch.float32
    assert torch.isfinite(made.flow).all()


def test_the_layout_does_not_depend_on_the_resolution() -> None:
    fine, coarse = scene("val", 2, (240, 320)), scene("val", 2, (120, 160))
    assert abs(fine.depth.mean() - coarse.depth.mean()) < 0.05
    assert abs(fine.image.mean() - coarse.image.mean()) < 3
    assert torch.allclose(fine.flow.mean(dim=(1, 2)), 2 * coarse.flow.mean(dim=(1, 2)), atol=0.2)


def test_all_classes_occur_and_void_is_a_thin_rim(val_scenes: list[Scene]) -> None:
    labels = torch.stack([made.labels for made in val_scenes])
    shares = torch.bincount(labels.flatten(), minlength=256) / labels.numel()
    assert len(CLASS_NAMES) == NUM_CLASSES == 8
    assert (shares[:NUM_CLASSES] > 0.01).all()
    assert 0.3 < shares[0] < 0.8
    assert 0.02 < shares[VOID] < 0.2


def test_no_two_labels_touch_without_void_between_them(val_scenes: list[Scene]) -> None:
    for made in val_scenes:
        for a, b in ((made.labels[1:], made.labels[:-1]), (made.labels[:, 1:], made.labels[:, :-1])):
            assert not ((a != b) & (a != VOID) & (b != VOID)).any()


def test_where_objects_overlap_the_nearer_one_is_seen() -> None:
    x, y = pixel_grid(60, 80)
    overlaps = 0
    for seed in range(6):
        layout = layout_of("train", seed, 80 / 60)
        ids, depth = rasterise(layout, x, y)
        candidates = [layout.backdrop.depth(x, y)]
        for thing in layout.things:
            u, v = thing.own_coordinates(x, y)
            candidates.append(np.where(thing.outline(u, v) < 0, thing.relief(u, v)[0], np.inf))
        stack = np.stack(candidates)
        np.testing.assert_array_equal(depth, stack.min(axis=0))
        np.testing.assert_array_equal(ids, stack.argmin(axis=0))
        overlaps += int((np.isfinite(stack[1:]).sum(axis=0) > 1).sum())
    assert overlaps > 500


def test_depth_jumps_at_the_void_rim_and_is_smooth_elsewhere(val_scenes: list[Scene]) -> None:
    for made in val_scenes:
        step = (made.depth[:, 1:] - made.depth[:, :-1]).abs()
        on_rim = (made.labels[:, 1:] == VOID) & (made.labels[:, :-1] == VOID)
        assert step[on_rim].max() > 2
        assert step[~on_rim].median() < 0.05


def test_flow_is_affine_on_each_object_and_differs_between_objects() -> None:
    size = (60, 80)
    x, y = pixel_grid(*size)
    ids, _ = rasterise(layout_of("val", 1, 80 / 60), x, y)
    flow = scene("val", 1, size).flow.numpy()
    means = []
    for number in np.unique(ids):
        here = ids == number
        basis = np.stack([x[here], y[here], np.ones(here.sum())], axis=1)
        for component in flow:
            fit = basis @ np.linalg.lstsq(basis, component[here], rcond=None)[0]
            assert np.abs(fit - component[here]).max() < 1e-3
        means.append(flow[:, here].mean(axis=1))
    assert np.std(means, axis=0).max() > 0.25


def test_colour_does_not_give_the_class_away(val_scenes: list[Scene]) -> None:
    """A nearest-mean-colour classifier, given the true class means, is wrong about most object pixels."""
    colours = torch.cat([made.image.flatten(1).T for made in val_scenes])
    labels = torch.cat([made.labels.flatten() for made in val_scenes])
    means = torch.stack([colours[labels == label].mean(0) for label in range(NUM_CLASSES)])
    objects = (labels != VOID) & (labels != 0)
    guesses = torch.cdist(colours[objects], means).argmin(1)
    assert (guesses == labels[objects]).float().mean() < 0.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("test", 0, SMALL), "got split 'test', expected one of train, val"),
        (("val", -1, SMALL), "got index -1, expected 0 or more"),
        (("val", 0, (7, 80)), "got size 7 x 80, expected at least 8 x 8"),
    ],
    ids=["split", "index", "size"],
)
def test_wrong_arguments_are_named(arguments: tuple[str, int, tuple[int, int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        scene(*arguments)
