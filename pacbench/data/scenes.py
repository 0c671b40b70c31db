"""The embedded scenes: procedural images with labels, depth and flow; licence-free, deterministic, any size.

A scene has textured, shaded objects of seven classes before a textured backdrop; nearer objects hide farther
ones; shadows and painted marks put colour edges where no label changes; sensor noise lies over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.scene_layout import CLASS_NAMES, Backdrop, Layout, draw_layout
from pacbench.data.scene_shapes import Array

__all__ = ["CLASS_NAMES", "NUM_CLASSES", "SPLITS", "VOID", "Scene", "scene", "scenes"]

SPLITS = {"train": 1, "val": 2}
NUM_CLASSES = len(CLASS_NAMES)
VOID = 255
_SEED = 1904_05373
_NOISE_SEED = 7
_FINER = 2  # the image is drawn this many times finer than asked for and averaged, as a sensor does

_Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """One embedded scene of height H and width W.

    Attributes:
        id: split and index, as in `val_0003`.
        image: float32 (3, H, W), whole numbers in 0..255, RGB.
        labels: int64 (H, W), classes of `CLASS_NAMES`; 255 (void) on a thin rim around objects, as in VOC.
        depth: float32 (H, W), metres.
        flow: float32 (2, H, W), pixels: x and y displacement of what is seen at a pixel to the next frame.
    """

    id: str
    image: Tensor
    labels: Tensor
    depth: Tensor
    flow: Tensor


def pixel_grid(height: int, width: int) -> tuple[Array, Array]:
    """Scene coordinates x, y of pixel centres; the scene's height is 1."""
    rows = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    columns = (np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    x, y = np.meshgrid(columns, rows)
    return np.asarray(x), np.asarray(y)


def rasterise(layout: Layout, x: Array, y: Array) -> tuple[_Ids, Array]:
    """Which surface is seen at each point (0 the backdrop, k the k-th object), and its depth: a z-buffer."""
    ids = np.zeros(x.shape, dtype=np.int64)
    depth = layout.backdrop.depth(x, y)
    for number, thing in enumerate(layout.things, start=1):
        u, v = thing.own_coordinates(x, y)
        surface = thing.relief(u, v)[0]
        seen = (thing.outline(u, v) < 0) & (surface < depth)
        ids[seen] = number
        depth[seen] = surface[seen]
    return ids, depth


def _paint_backdrop(backdrop: Backdrop, x: Array, y: Array, finest: float) -> Array:
    stretch = np.where(y > backdrop.horizon, np.float32(1.6), np.float32(1))  # the ground is foreshortened
    above = backdrop.wall.at(x, y, finest)
    below = backdrop.ground.at(x, y * stretch, finest)
    colours = np.where(y > backdrop.horizon, below, above)
    for outline, (centre_x, centre_y), radius, texture in backdrop.marks:
        inside = outline((x - np.float32(centre_x)) / np.float32(radius),
                         (y - np.float32(centre_y)) / np.float32(radius)) < 0  # fmt: skip
        colours[:, inside] = texture.at(x[inside], y[inside], finest)
    shading = np.float32(1.08) - np.float32(0.2) * np.abs(y - np.float32(backdrop.horizon))
    return np.asarray(colours * shading, dtype=np.float32)


def _shadows(layout: Layout, x: Array, y: Array, ids: _Ids, depth: Array) -> Array:
    """How much light is left at each point after the objects' soft shadows on what lies behind them."""
    left = np.ones(x.shape, dtype=np.float32)
    for number, thing in enumerate(layout.things, start=1):
        u, v = thing.own_coordinates(x - np.float32(layout.light[0]), y - np.float32(layout.light[1]))
        hidden = 1 / (1 + np.exp(np.clip(thing.outline(u, v) / np.float32(0.06), -20, 20)))
        behind = (ids != number) & (depth > thing.depth + 0.2)
        left *= 1 - np.float32(0.35) * hidden * behind
    return left


def _paint(layout: Layout, height: int, width: int) -> Array:
    """The image (3, height, width), in 0..1, before the sensor."""
    x, y = pixel_grid(height, width)
    finest = 3.0 * _FINER / height
    ids, depth = rasterise(layout, x, y)
    image = np.empty((3, height, width), dtype=np.float32)
    for number in range(len(layout.things) + 1):
        here = ids == number
        if number == 0:
            image[:, here] = _paint_backdrop(layout.backdrop, x[here], y[here], finest)
            continue
        thing = layout.things[number - 1]
        u, v = thing.own_coordinates(x[here], y[here])
        image[:, here] = thing.texture.at(x[here], y[here], finest) * thing.relief(u, v)[1]
    return np.asarray(image * _shadows(layout, x, y, ids, depth), dtype=np.float32)


def _sense(image: Array, rng: np.random.Generator) -> Array:
    """What a sensor makes of an image in 0..1: shot and read noise, 256 levels."""
    sigma = np.sqrt(0.0002 + 0.0008 * np.clip(image, 0, 1))
    noisy = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(noisy * 255), 0, 255), dtype=np.float32)


def _flow(layout: Layout, ids: _Ids, x: Array, y: Array) -> Array:
    """Displacement (2, H, W) in scene units."""
    flow = np.empty((2, *x.shape), dtype=np.float32)
    centres = [(0.5 * float(x.max()), 0.5), *(thing.centre for thing in layout.things)]
    motions = [layout.backdrop.motion, *(thing.motion for thing in layout.things)]
    for number, (centre, motion) in enumerate(zip(centres, motions, strict=True)):
        here = ids == number
        offset = np.stack([x[here] - centre[0], y[here] - centre[1]])
        flow[:, here] = motion.displacement[:, None] + motion.matrix @ offset
    return flow


def layout_of(split: str, index: int, aspect: float) -> Layout:
    """What stands where in a scene of the given aspect ratio (width divided by height)."""
    return draw_layout(np.random.Generator(np.random.PCG64([_SEED, SPLITS[split], index])), aspect)


def scene(split: str, index: int, size: tuple[int, int] = (240, 320)) -> Scene:
    """Generate one scene; the same arguments give the same scene.

    Args:
        split: `train` or `val`; no scene is in both.
        index: 0 or more.
        size: height and width in pixels, at least 8 each. What is in the scene depends on it only through
            the aspect ratio.

    Raises:
        DataError: an unknown split, a negative index or a size below 8.
    """
    if split not in SPLITS:
        raise DataError(f"scene: got split {split!r}, expected one of {', '.join(SPLITS)}")
    if index < 0:
        raise DataError(f"scene: got index {index}, expected 0 or more")
    height, width = size
    if height < 8 or width < 8:
        raise DataError(f"scene: got size {height} x {width}, expected at least 8 x 8")
    layout = layout_of(split, index, width / height)
    x, y = pixel_grid(height, width)
    ids, depth = rasterise(layout, x, y)
    labels = np.array([0, *(thing.label for thing in layout.things)])[ids]
    rim = 2 * round(height / 320) + 1 if height >= 160 else 3
    labels[ndimage.morphological_gradient(ids, size=(rim, rim)) > 0] = VOID
    fine = _paint(layout, height * _FINER, width * _FINER)
    image = fine.reshape(3, height, _FINER, width, _FINER).mean(axis=(2, 4), dtype=np.float32)
    noise = np.random.Generator(np.random.PCG64([_SEED, SPLITS[split], index, _NOISE_SEED]))
    return Scene(
        id=f"{split}_{index:04d}",
        image=torch.from_numpy(_sense(image, noise)),
        labels=torch.from_numpy(labels.astype(np.int64)),
        depth=torch.from_numpy(depth),
        flow=torch.from_numpy(_flow(layout, ids, x, y) * np.float32(height)),
    )


def scenes(split: str, count: int, size: tuple[int, int] = (240, 320)) -> Sequence[Scene]:
    """The first `count` scenes of a split; arguments and errors as for :func:`scene`."""
    return [scene(split, index, size) for index in range(count)]
