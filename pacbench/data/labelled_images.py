"""Images with a class for each pixel, from whichever of the layouts a folder has: what networks are trained on.

Three layouts are known: PASCAL VOC 2012 (with SBD beside it or not), CamVid, and a plain one for data of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from torch import Tensor

from pacbench.data import camvid, label_folder, sbd, scenes, voc2012
from pacbench.data.data_error import DataError

VOID = 255


@dataclass(frozen=True)
class LabelledImage:
    """One image float32 (3, H, W), RGB in [0, 255], and its truth int64 (H, W) with 255 for void."""

    id: str
    image: Tensor
    labels: Tensor


@dataclass(frozen=True)
class LabelledSet:
    """A data set.

    Attributes:
        name: As it is told.
        class_names: In the order of their indices.
        splits: IDs of each split by its name; `train` and `val` at least.
        load: The image of a split and an ID; raises DataError where there is none to be had.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    load: Callable[[str, str], LabelledImage]


def open_folder(root: Path) -> LabelledSet:
    """The data set in a folder.

    Raises:
        DataError: the folder has none of the known layouts (the message names them), or a broken one.
    """
    if not root.is_dir():
        raise DataError(f"{root}: got no folder, expected a data set")
    if camvid.is_layout(root):
        return _camvid(root)
    if label_folder.is_layout(root):
        return _label_folder(root)
    try:
        voc2012.find_folder(root)
    except DataError as error:
        raise DataError(
            f"{root}: got none of the known layouts, expected PASCAL VOC 2012 ({error}), CamVid (train, trainannot, "
            "val, valannot) or a folder of your own (images, labels, splits, classes.txt)"
        ) from error
    return _voc2012(root)


def embedded_scenes(size: tuple[int, int], train: int, val: int) -> LabelledSet:
    """The embedded scenes at a size (H, W); the first `train` and `val` of the two splits."""

    @lru_cache(maxsize=train + val)
    def made(split: str, index: int) -> LabelledImage:
        scene = scenes.scene(split, index, size)
        return LabelledImage(scene.id, scene.image, scene.labels)

    def load(split: str, item_id: str) -> LabelledImage:
        return made(split, int(item_id.rpartition("_")[2]))

    counts = {"train": train, "val": val}
    splits = {name: tuple(f"{name}_{index:04d}" for index in range(count)) for name, count in counts.items()}
    return LabelledSet(f"embedded scenes {size[0]}x{size[1]}", tuple(scenes.CLASS_NAMES), splits, load)


def _camvid(root: Path) -> LabelledSet:
    def load(split: str, item_id: str) -> LabelledImage:
        return LabelledImage(item_id, *camvid.load(root, split, item_id))

    return LabelledSet("CamVid", camvid.CLASS_NAMES, camvid.splits(root), load)


def _label_folder(root: Path) -> LabelledSet:
    names = label_folder.class_names(root)

    def load(split: str, item_id: str) -> LabelledImage:  # noqa: ARG001 (one signature for all)
        return LabelledImage(item_id, *label_folder.load(root, item_id, len(names)))

    return LabelledSet(root.resolve().name, names, label_folder.splits(root), load)


def _voc2012(root: Path) -> LabelledSet:
    """VOC 2012; `train` is its own and, where they are there, SBD's images that are not in VOC's val."""
    val = tuple(dict.fromkeys(voc2012.split_ids(root, "val")))
    train = [("train", item_id) for item_id in voc2012.split_ids(root, "train")]
    original = sbd.find_folder(root)
    if voc2012.list_of(root, "train_sbd").exists():
        train += [("train", item_id) for item_id in voc2012.split_ids(root, "train_sbd")]
    elif original is not None:
        train += [("sbd", item_id) for item_id in sbd.ids(original)]
    source = {item_id: where for where, item_id in reversed(train) if item_id not in val}
    return LabelledSet(
        "VOC 2012", voc2012.CLASS_NAMES, {"train": tuple(sorted(source)), "val": val},
        partial(_load_voc, root, original, source),
    )  # fmt: skip


def _load_voc(root: Path, original: Path | None, source: Mapping[str, str], split: str, item_id: str) -> LabelledImage:
    if split == "train" and original is not None and source.get(item_id) == "sbd":
        return LabelledImage(item_id, *sbd.load(original, item_id))
    sample = voc2012.load_sample(root, item_id)
    return LabelledImage(item_id, sample.image, sample.labels)
