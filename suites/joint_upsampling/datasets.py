"""What the methods are run on: depth of the embedded scenes, and the measured disparity of the motorcycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from pacbench.data import scenes, stereo
from pacbench.data.data_error import DataError

_CENTIMETRES = 100.0
_MOTORCYCLE_CORNER = (160, 200)
_MOTORCYCLE_SIZE = (240, 320)


@dataclass(frozen=True, eq=False)
class Item:
    """One image: guide (3, H, W) in 0..255, truth (H, W), and where the truth is known, bool (H, W)."""

    id: str
    guide: Tensor
    truth: Tensor
    known: Tensor


@dataclass(frozen=True)
class UpsamplingDataset:
    """Images that a method is evaluated on.

    Attributes:
        name: As it is told, with the unit of its truth.
        ids: The images.
        load: An image by its id, or a DataError.
        note: What a reader of its rows must know.
    """

    name: str
    ids: tuple[str, ...]
    load: Callable[[str], Item]
    note: str

    def items(self) -> Iterator[Item | DataError]:
        """Each image, or the reason why there is none."""
        for item_id in self.ids:
            try:
                yield self.load(item_id)
            except DataError as error:
                yield error

    def first(self) -> Item:
        """The first image that can be loaded; DataError where none can."""
        reasons = []
        for item in self.items():
            if isinstance(item, Item):
                return item
            reasons.append(str(item))
        raise DataError(reasons[0] if reasons else f"{self.name}: got no image, expected at least one")


@dataclass(frozen=True)
class Extent:
    """How much a profile takes: the scenes' size, how many to tune on and to evaluate, and the factors."""

    size: tuple[int, int]
    scenes_to_tune: int
    scenes_to_evaluate: int
    factors: tuple[int, ...]


EXTENTS = {
    "quick": Extent((120, 160), 3, 4, (4,)),
    "standard": Extent((192, 256), 4, 8, (4, 8)),
    "full": Extent((240, 320), 8, 24, (4, 8, 16)),
}
DATASETS = ("scenes", "motorcycle")


def open_dataset(name: str, profile: str) -> UpsamplingDataset:
    """The images of one of :data:`DATASETS` to evaluate on."""
    extent = EXTENTS[profile]
    return embedded_scenes("val", extent.size, extent.scenes_to_evaluate) if name == "scenes" else motorcycle()


def tuning_dataset(profile: str) -> UpsamplingDataset:
    """The scenes that every method is tuned on."""
    extent = EXTENTS[profile]
    return embedded_scenes("train", extent.size, extent.scenes_to_tune)


def embedded_scenes(split: str, size: tuple[int, int], count: int) -> UpsamplingDataset:
    """Depth of procedural scenes, in cm."""
    ids = tuple(f"{split}_{index:04d}" for index in range(count))
    return UpsamplingDataset(
        f"embedded scenes {size[0]}x{size[1]}, depth in cm",
        ids,
        lambda item_id: _scene(split, ids.index(item_id), size),
        "the depth is exact: every pixel is known",
    )


@lru_cache(maxsize=64)
def _scene(split: str, index: int, size: tuple[int, int]) -> Item:
    scene = scenes.scene(split, index, size)
    return Item(scene.id, scene.image, scene.depth * _CENTIMETRES, torch.ones(size, dtype=torch.bool))


def motorcycle() -> UpsamplingDataset:
    """Disparity of the motorcycle pair's left image, in pixels: a part of it that holds most of the machine."""
    height, width = _MOTORCYCLE_SIZE
    return UpsamplingDataset(
        f"motorcycle {height}x{width}, disparity in pixels",
        ("motorcycle",),
        lambda _: _motorcycle(),
        f"rows {_MOTORCYCLE_CORNER[0]} to {_MOTORCYCLE_CORNER[0] + height} and columns {_MOTORCYCLE_CORNER[1]} to "
        f"{_MOTORCYCLE_CORNER[1] + width} of the image; unknown disparities are not evaluated; before sampling they "
        "are filled with the nearest known one, and joint_bilateral leaves samples so filled out by its mask",
    )


@lru_cache(maxsize=1)
def _motorcycle() -> Item:
    pair = stereo.motorcycle()
    rows, columns = (
        slice(start, start + size) for start, size in zip(_MOTORCYCLE_CORNER, _MOTORCYCLE_SIZE, strict=True)
    )
    return Item("motorcycle", pair.left[:, rows, columns], pair.disparity[rows, columns], pair.known[rows, columns])
