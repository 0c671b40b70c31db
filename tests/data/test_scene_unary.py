"""The simulated unaries: as wrong as a coarse network, in a way that colour can mend and position alone cannot."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from pacbench.data.scene_unary import scene_unary
from pacbench.data.scenes import NUM_CLASSES, VOID, Scene, scene, scenes
from pacbench.metrics.mean_iou import MeanIoUMeter
from pacbench.metrics.root_mean_square_error import root_mean_square_error

Smoother = Callable[[Scene, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def val_scenes() -> list[Scene]:
    return list(scenes("val", 8))


def _guide(made: Scene) -> np.ndarray:
    return np.ascontiguousarray(made.image.permute(1, 2, 0).numpy())


def _mean_iou(made: list[Scene], smoother: Smoother) -> float:
    meter = MeanIoUMeter(NUM_CLASSES)
    for one in made:
        smoothed = smoother(one, scene_unary(one).softmax(0).numpy())
        meter.add(torch.from_numpy(smoothed.argmax(0)), one.labels)
    return meter.result().mean


def _guided(made: Scene, probabilities: np.ndarray) -> np.ndarray:
    # OpenCV replaces determinants below 1e-6 by 1, so the guide must be in 0..255, not in 0..1.
    guided_filter = cv2.ximgproc.createGuidedFilter(_guide(made), 16, 1e-3 * 255**2)
    return np.stack([guided_filter.filter(np.ascontiguousarray(plane)) for plane in probabilities])


def _gaussian(sigma: float) -> Smoother:
    return lambda _, probabilities: ndimage.gaussian_filter(probabilities, (0, sigma, sigma))


def test_a_colour_aware_filter_gains_and_a_colour_blind_one_does_not(val_scenes: list[Scene]) -> None:
    unary = _mean_iou(val_scenes, lambda _, probabilities: probabilities)
    blind = max(_mean_iou(val_scenes, _gaussian(sigma)) for sigma in (1.0, 2.0, 4.0, 8.0))
    guided = _mean_iou(val_scenes, _guided)
    assert 0.55 < unary < 0.75
    assert blind < unary + 0.01
    assert guided > unary + 0.05
    assert guided > blind + 0.05


def test_unaries_of_small_scenes_are_as_wrong_as_those_of_large_ones() -> None:
    assert 0.5 < _mean_iou(list(scenes("val", 8, (120, 160))), lambda _, probabilities: probabilities) < 0.7


def test_guided_upsampling_of_depth_beats_bilinear(val_scenes: list[Scene]) -> None:
    for factor in (4, 8):
        bilinear, guided = [], []
        for made in val_scenes:
            low = functional.avg_pool2d(made.depth[None, None], factor)
            upsampled = functional.interpolate(low, made.depth.shape, mode="bilinear")[0, 0]
            bilinear.append(root_mean_square_error(upsampled, made.depth))
            filtered = cv2.ximgproc.guidedFilter(_guide(made), upsampled.numpy(), factor, 1e-3 * 255**2)
            guided.append(root_mean_square_error(torch.from_numpy(filtered), made.depth))
        assert np.mean(guided) < 0.95 * np.mean(bilinear)


def test_the_same_scene_and_seed_give_the_same_unary_and_another_seed_another() -> None:
    made = scene("train", 2, (60, 80))
    first = scene_unary(made)
    assert torch.equal(first, scene_unary(made))
    assert not torch.equal(first, scene_unary(made, seed=1))


def test_colours_have_no_influence() -> None:
    made = scene("val", 1, (60, 80))
    grey = Scene(made.id, torch.zeros_like(made.image), made.labels, made.depth, made.flow)
    assert torch.equal(scene_unary(made), scene_unary(grey))


@pytest.mark.parametrize("size", [(8, 8), (37, 91), (200, 24)], ids=str)
def test_every_size_gives_finite_logits_of_the_scene_size(size: tuple[int, int]) -> None:
    logits = scene_unary(scene("val", 0, size))
    assert logits.shape == (NUM_CLASSES, *size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_a_scene_of_nothing_but_void_counts_as_background() -> None:
    made = scene("val", 0, (64, 64))
    labels: Tensor = torch.full_like(made.labels, VOID)
    logits = scene_unary(Scene(made.id, made.image, labels, made.depth, made.flow))
    assert (logits.argmax(0) == 0).float().mean() > 0.5
