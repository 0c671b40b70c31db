"""What the methods are run on: images with depth, disparity or flow, embedded or from a folder of real data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from pacbench.data import scenes, stereo
from pacbench.data.data_error import DataError

from .sampling import BORDER, LowResolution, low_resolution

Kind = Literal["depth", "flow"]
KINDS: tuple[Kind, ...] = ("depth", "flow")

_CENTIMETRES = 100.0
_MOTORCYCLE_CORNER = (160, 200)
_MOTORCYCLE_SIZE = (240, 320)


class UnfitFactorError(ValueError):
    """A factor that a data set has nothing for; the message says which it has."""


@dataclass(frozen=True, eq=False)
class Item:
    """One image.

    Attributes:
        id: Its name.
        guide: (3, H, W), RGB in 0..255.
        truth: (C, H, W): one channel of depth or disparity, or two of flow.
        known: bool (H, W): where the truth is known.
        given: Low-resolution inputs that came with the data, (C, h, w), by factor; none where the truth is sampled.
    """

    id: str
    guide: Tensor
    truth: Tensor
    known: Tensor
    given: Mapping[int, Tensor] = field(default_factory=dict)

    def at(self, factor: int, *, sampled: bool = True, start: int | None = None) -> LowResolution:
        """What a method is given: samples of the truth (see `low_resolution`), or the input that came with the data.

        Raises:
            UnfitFactorError: no input of that factor came with the data, or the image is too small for it.
        """
        if sampled:
            try:
                return low_resolution(self.guide, self.truth, self.known, factor, start)
            except ValueError as error:
                raise UnfitFactorError(f"{self.id}: {error}") from error
        if factor not in self.given:
            there = ", ".join(map(str, sorted(self.given))) or "none"
            raise UnfitFactorError(f"{self.id}: got factor {factor}, expected one that came with the data: {there}")
        values = self.given[factor][None]
        valid = torch.ones((1, 1, *values.shape[2:]), dtype=torch.bool)
        return LowResolution(self.guide[None], values, valid, factor)


@dataclass(frozen=True)
class UpsamplingDataset:
    """Images that a method is evaluated on.

    Attributes:
        name: As it is told, with the unit of its truth.
        ids: The images.
        load: An image by its id, or a DataError.
        note: What a reader of its rows must know.
        kind: What is upsampled.
        sampled: Whether inputs are samples of the truth; else they came with the data.
        border: Pixels at each border that are not evaluated.
    """

    name: str
    ids: tuple[str, ...]
    load: Callable[[str], Item]
    note: str
    kind: Kind = "depth"
    sampled: bool = True
    border: int = BORDER

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


@dataclass(frozen=True)
class Data:
    """A data set: the images that methods are evaluated on, and those that their scalars are tuned on."""

    evaluation: UpsamplingDataset
    tuning: UpsamplingDataset


def open_embedded(profile: str) -> dict[str, Data]:
    """The embedded data, by name: depth and flow of the scenes, and the motorcycle's disparity."""
    extent = EXTENTS[profile]
    depth, flow = (
        Data(embedded_scenes("val", extent.size, extent.scenes_to_evaluate, kind), scenes_to_tune(kind, profile))
        for kind in KINDS
    )
    return {"scenes": depth, "scenes_flow": flow, "motorcycle": Data(motorcycle(), depth.tuning)}


def scenes_to_tune(kind: Kind, profile: str) -> UpsamplingDataset:
    """The scenes that methods are tuned on where the data itself has nothing to tune on."""
    extent = EXTENTS[profile]
    return embedded_scenes("train", extent.size, extent.scenes_to_tune, kind)


def embedded_scenes(split: str, size: tuple[int, int], count: int, kind: Kind = "depth") -> UpsamplingDataset:
    """Depth of procedural scenes in cm, or their flow in pixels."""
    ids = tuple(f"{split}_{index:04d}" for index in range(count))
    unit = "depth in cm" if kind == "depth" else "flow in pixels"
    return UpsamplingDataset(
        f"embedded scenes {size[0]}x{size[1]}, {unit}",
        ids,
        lambda item_id: _scene(split, ids.index(item_id), size, kind),
        f"the {kind} is exact: every pixel is known",
        kind,
        border=BORDER if kind == "depth" else 0,
    )


@lru_cache(maxsize=64)
def _scene(split: str, index: int, size: tuple[int, int], kind: Kind) -> Item:
    scene = scenes.scene(split, index, size)
    truth = scene.depth[None] * _CENTIMETRES if kind == "depth" else scene.flow
    return Item(scene.id, scene.image, truth, torch.ones(size, dtype=torch.bool))


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
    return Item(
        "motorcycle", pair.left[:, rows, columns], pair.disparity[None, rows, columns], pair.known[rows, columns]
    )
