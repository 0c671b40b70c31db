"""What the methods are run on: a split to tune on and a split to evaluate, embedded or from files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from torch import Tensor, nn

from pacbench.data import label_folder, scenes, unaries, voc2012
from pacbench.data.data_error import DataError
from pacbench.data.labelled_images import LabelledSet, open_folder
from pacbench.data.scene_unary import scene_unary
from pacbench.measuring.package_hash import data_hash
from pacbench.models.network_plan import read_plan

from .network_unaries import NetworkUnaries


@dataclass(frozen=True)
class Item:
    """One image (1, 3, H, W) in [0, 255], its truth (H, W) with 255 for void, and its unary logits (1, C, H, W)."""

    id: str
    image: Tensor
    labels: Tensor
    unary: Tensor


@dataclass(frozen=True)
class Split:
    """Some images by id, each loaded when it is needed."""

    name: str
    ids: tuple[str, ...]
    load: Callable[[str], Item]

    def items(self) -> Iterator[Item | DataError]:
        """Each item, or the reason why there is none."""
        for item_id in self.ids:
            try:
                yield self.load(item_id)
            except DataError as error:
                yield error

    def good_items(self) -> Iterator[Item]:
        """The items that can be loaded."""
        return (item for item in self.items() if isinstance(item, Item))

    def first(self) -> Item:
        """The first item that can be loaded; `DataError` where none can."""
        reasons = []
        for item in self.items():
            if isinstance(item, Item):
                return item
            reasons.append(str(item))
        raise DataError(reasons[0] if reasons else f"split {self.name}: got no image, expected at least one")


@dataclass(frozen=True)
class CrfDataset:
    """A tuning split and an evaluation split that share no image."""

    name: str
    class_names: tuple[str, ...]
    tuning: Split
    evaluation: Split
    digest: str = ""
    """Of the files that it reads, so that nothing found on them is used for others; empty for embedded data."""
    network: nn.Module | None = None
    """Which gives the unaries; None where they are files, or made up."""

    @property
    def num_classes(self) -> int:
        """How many classes a unary has."""
        return len(self.class_names)


@dataclass(frozen=True)
class Extent:
    """How much of a data set a profile takes."""

    size: tuple[int, int]
    scenes_to_tune: int
    scenes_to_evaluate: int
    images_to_tune: int | None


EXTENTS = {
    "quick": Extent((120, 160), 3, 6, 3),
    "standard": Extent((240, 320), 6, 12, 8),
    "full": Extent((240, 320), 24, 48, None),
}


def open_dataset(profile: str, data_root: Path | None, weights: Sequence[Path] = ()) -> CrfDataset:
    """The embedded scenes, or a folder in any layout of `pacbench.data.labelled_images`.

    Its unaries are what a network says, where weights are given, else arrays in a folder ``unary*``.

    Raises:
        DataError: the folder, its evaluation split or its unaries are not there.
    """
    extent = EXTENTS[profile]
    if data_root is None:
        return embedded_scenes(extent)
    networks = [path for path in weights if (plan := read_plan(path)) is None or plan.network != "none"]
    if not networks and not label_folder.is_layout(data_root) and not (data_root / "trainannot").is_dir():
        return voc_folder(data_root, extent)
    return labelled_folder(data_root, extent, networks)


def embedded_scenes(extent: Extent) -> CrfDataset:
    """Procedural scenes with the unaries that a coarse network might give."""
    height, width = extent.size

    @lru_cache(maxsize=64)
    def load(item_id: str) -> Item:
        split, index = item_id.split("_")
        scene = scenes.scene(split, int(index), extent.size)
        return Item(item_id, scene.image[None], scene.labels, scene_unary(scene)[None])

    def split(name: str, count: int) -> Split:
        return Split(name, tuple(f"{name}_{index:04d}" for index in range(count)), load)

    return CrfDataset(
        f"embedded scenes {height}x{width}",
        tuple(scenes.CLASS_NAMES),
        split("train", extent.scenes_to_tune),
        split("val", extent.scenes_to_evaluate),
    )


def voc_folder(root: Path, extent: Extent) -> CrfDataset:
    """PASCAL VOC 2012: tuned on train and train_sbd (as far as there), evaluated on val."""
    folder = unaries.find_folder(root)
    evaluated = tuple(dict.fromkeys(voc2012.split_ids(root, "val")))
    tuned: list[str] = []
    names = []
    for name in ("train", "train_sbd"):
        try:
            tuned += [item_id for item_id in voc2012.split_ids(root, name) if item_id not in evaluated]
        except DataError:
            if voc2012.list_of(root, name).exists():
                raise
            continue
        names.append(name)
    if not names:
        voc2012.split_ids(root, "train")
    load = partial(_load_voc, root, folder)
    return CrfDataset(
        "VOC 2012",
        tuple(voc2012.CLASS_NAMES),
        Split("+".join(names), _spread(tuple(dict.fromkeys(tuned)), extent.images_to_tune), load),
        Split("val", evaluated, load),
        data_hash(root),
    )


def labelled_folder(root: Path, extent: Extent, weights: Sequence[Path]) -> CrfDataset:
    """A data set of any known layout: tuned on train, evaluated on val."""
    data = open_folder(root)
    network = NetworkUnaries(weights, data.class_names) if weights else None
    folder = unaries.find_folder(root) if network is None else None

    def load(split: str, item_id: str) -> Item:
        found = data.load(split, item_id)
        image = found.image[None]
        if network is not None:
            unary = network.scores(f"{split}/{item_id}", image)
        else:
            assert folder is not None
            size = (found.labels.shape[0], found.labels.shape[1])
            unary = unaries.load_unary(folder, item_id, len(data.class_names), size)[None]
        return Item(item_id, image, found.labels, unary)

    digest = data_hash(root) + "".join(hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in weights)
    return CrfDataset(
        data.name, data.class_names, _split(data, "train", extent.images_to_tune, load),
        _split(data, "val", None, load), digest, network.network if network is not None else None,
    )  # fmt: skip


def _split(data: LabelledSet, name: str, count: int | None, load: Callable[[str, str], Item]) -> Split:
    return Split(name, _spread(data.splits[name], count), partial(load, name))


def _load_voc(root: Path, folder: Path, item_id: str) -> Item:
    sample = voc2012.load_sample(root, item_id)
    height, width = sample.labels.shape
    unary = unaries.load_unary(folder, item_id, voc2012.NUM_CLASSES, (height, width))
    return Item(item_id, sample.image[None], sample.labels, unary[None])


def _spread(ids: tuple[str, ...], count: int | None) -> tuple[str, ...]:
    """`count` of the ids, evenly spread over their order."""
    if count is None or count >= len(ids):
        return ids
    return tuple(ids[index * len(ids) // count] for index in range(count))
