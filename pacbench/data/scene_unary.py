"""A simulated unary for an embedded scene: what a coarse fully convolutional network would say about it.

No network is run: the truth is made worse in the ways in which such networks (output stride 8, bilinear
upsampling, as the FCN-8s of Long et al., CVPR 2015) are wrong, so that a CRF has the same things to mend:
blurred borders, missed thin parts, patches of a wrong class, false objects, too much confidence.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from pacbench.data.scene_shapes import Array
from pacbench.data.scenes import NUM_CLASSES, VOID, Scene

Labels = npt.NDArray[np.int64]

_SEED = 1904_05374
_STRIDE = 8
_LEAST_ROWS = 24  # the coarse grid has at least these rows, as if the network had enlarged a small image
_BLUR = 0.55  # standard deviation of the blur of the truth, in cells of the coarse grid
_SHIFT = 0.25  # standard deviation of the displacement of all borders, in cells
_PATCHINESS = 0.9  # amplitude of the smooth noise of every logit
_CONFUSION = 0.5  # how much of a class a similar class takes over, at most
_FLOOR = 0.02  # probability mixed in from a uniform distribution: it bounds the logits
_CONFIDENCE = 1.6  # all logits are multiplied by this: above 1, over-confident
_SIMILAR = ((1, 5), (2, 7), (3, 1), (4, 5), (6, 7))  # classes taken for one another: ball and blob, ...


def _without_void(labels: Labels) -> Labels:
    """Labels with every void pixel given the label of the nearest pixel that has one."""
    void = labels == VOID
    if void.all():
        return np.zeros_like(labels)
    nearest = ndimage.distance_transform_edt(void, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)])


def _coarse_shares(labels: Labels, rng: np.random.Generator) -> Array:
    """Each class's share (C, h, w) of each cell of the coarse grid, blurred and displaced."""
    height, width = labels.shape
    onehot = functional.one_hot(torch.from_numpy(labels), NUM_CLASSES).permute(2, 0, 1)[None].float()
    rows = max(math.ceil(height / _STRIDE), min(height, _LEAST_ROWS))
    grid = (rows, min(width, math.ceil(rows * width / height)))
    shares = functional.interpolate(onehot, grid, mode="area")[0].numpy()
    shift = rng.normal(size=2) * _SHIFT
    moved = [
        ndimage.gaussian_filter(ndimage.shift(share, shift, order=1, mode="nearest"), _BLUR, mode="nearest")
        for share in shares
    ]
    return np.asarray(np.stack(moved), dtype=np.float32)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Array:
    """Gaussian noise smoothed over the last two axes, of unit variance."""
    sigmas = (0.0,) * (len(shape) - 2) + (sigma, sigma)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigmas, mode="reflect")
    return np.asarray(noise / max(float(noise.std()), 1e-6), dtype=np.float32)


def _confuse(shares: Array, rng: np.random.Generator) -> Array:
    """Move some of a class's share to a similar one, by amounts that vary smoothly over the image."""
    shares = shares.copy()
    for first, second in _SIMILAR:
        source, target = (first, second) if rng.uniform() < 0.5 else (second, first)
        amount = _CONFUSION * np.clip(_smooth_noise(rng, shares.shape[1:], 3.0), 0, 1) * shares[source]
        shares[source] -= amount
        shares[target] += amount
    return shares


def _false_objects(shares: Array, rng: np.random.Generator) -> Array:
    """One to three round patches of a class that is not there, each about three cells wide."""
    _, height, width = shares.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        row, column, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(1.0, 1.8)
        square = ((rows - row) ** 2 + (columns - column) ** 2) / (2 * radius**2)
        patch = np.asarray(rng.uniform(0.5, 0.75) * np.exp(-square), dtype=np.float32)
        shares = shares * (1 - patch)
        shares[int(rng.integers(1, NUM_CLASSES))] += patch
    return shares


def scene_unary(scene: Scene, seed: int = 0) -> Tensor:
    """Logits that a coarse network might give for a scene; the same scene and seed give the same logits.

    The truth's class shares on an 8 times coarser grid (of at least 24 rows) are blurred, displaced and
    confused with similar classes; false objects and smooth noise are added; the logits are made
    over-confident and upsampled bilinearly (align_corners=False). Colours have no influence.

    Args:
        scene: the scene; its id and size decide the errors.
        seed: another seed gives other errors.

    Returns:
        float32 (8, H, W), not normalised.
    """
    height, width = scene.labels.shape
    rng = np.random.Generator(np.random.PCG64([_SEED, seed, *scene.id.encode(), height, width]))
    shares = _coarse_shares(_without_void(scene.labels.numpy()), rng)
    shares = np.maximum(_false_objects(_confuse(shares, rng), rng), 0)
    shares = (1 - _FLOOR) * shares / shares.sum(axis=0) + _FLOOR / NUM_CLASSES
    logits = np.log(shares) + _PATCHINESS * _smooth_noise(rng, shares.shape, 1.2)
    coarse = torch.from_numpy(np.asarray(_CONFIDENCE * logits, dtype=np.float32))
    return functional.interpolate(coarse[None], (height, width), mode="bilinear", align_corners=False)[0]
