"""PASCAL VOC 2012 segmentation, read from the folders in which it is published.

The layout (Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 2015):
`JPEGImages/ID.jpg`, `SegmentationClass/ID.png` (a palette picture whose indices are the classes, 255 void)
and `ImageSets/Segmentation/SPLIT.txt` (one ID a line). Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.masks import VOID, find_image, read_pair

CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
NUM_CLASSES = len(CLASS_NAMES)

_PARTS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
_LISTS = Path("ImageSets", "Segmentation")
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Voc2012Sample:
    """One image of height H and width W, with its truth.

    Attributes:
        id: the published name, as in `2007_000033`.
        image: float32 (3, H, W), RGB, 0..255.
        labels: int64 (H, W): 0 background, 1..20, 255 void.
    """

    id: str
    image: Tensor
    labels: Tensor


def find_folder(root: Path) -> Path:
    """The folder that holds `JPEGImages`: `root` itself, `root/VOC2012` or `root/VOCdevkit/VOC2012`.

    Raises:
        DataError: none of them has all three parts of the layout; the message names what is missing.
    """
    candidates = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    missing = {folder: [part for part in _PARTS if not (folder / part).is_dir()] for folder in candidates}
    for folder in candidates:
        if not missing[folder]:
            return folder
    nearest = min(candidates, key=lambda folder: len(missing[folder]))
    if not root.is_dir():
        got = "no folder"
    elif len(missing[nearest]) == len(_PARTS):
        got = "a folder without the PASCAL VOC 2012 layout"
    else:
        got = f"{nearest} without {' and '.join(missing[nearest])}"
    raise DataError(f"{root}: got {got}, expected {', '.join(_PARTS)} in it, in VOC2012 or in VOCdevkit/VOC2012")


def list_of(root: Path, split: str) -> Path:
    """The file that lists a split's IDs, whether it is there or not."""
    return find_folder(root) / _LISTS / f"{split}.txt"


def split_ids(root: Path, split: str) -> list[str]:
    """The IDs of a split, as they stand in its file, without blank lines and trailing spaces.

    Raises:
        DataError: no such folder or split (the message lists the splits that are there), or an empty split.
    """
    path = list_of(root, split)
    lists = find_folder(root) / _LISTS
    if not _NAME.fullmatch(split) or not path.is_file():
        there = ", ".join(sorted(file.stem for file in lists.glob("*.txt"))) or "no split at all"
        raise DataError(f"{lists}: got no split {split!r}, expected a file SPLIT.txt; there is {there}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected one ID a line") from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise DataError(f"{path}: got an empty list, expected one ID a line")
    return ids


def load_sample(root: Path, sample_id: str) -> Voc2012Sample:
    """Load one image and its mask.

    Raises:
        DataError: an ID that is no plain file name; a missing or broken image or mask; an image and a mask
            of different size; a label that is no class.
    """
    folder = find_folder(root)
    image_path = find_image(folder / "JPEGImages", sample_id)
    image, labels = read_pair(image_path, folder / "SegmentationClass" / f"{sample_id}.png", NUM_CLASSES, VOID)
    return Voc2012Sample(sample_id, image, labels)


def samples(root: Path, split: str) -> Iterator[Voc2012Sample | DataError]:
    """Load a split item by item: for each ID, in the list's order, a sample or the reason why there is none.

    A bad item is yielded as a :class:`DataError`, not raised, so that the others go on. An ID that is listed
    twice is an error the second time: its pixels would count double.

    Raises:
        DataError: at once, if the folder or the split cannot be used at all.
    """
    ids = split_ids(root, split)

    def load(ids: list[str]) -> Iterator[Voc2012Sample | DataError]:
        seen: set[str] = set()
        for sample_id in ids:
            if sample_id in seen:
                yield DataError(f"{split}.txt: got the ID {sample_id} again, expected each ID once")
                continue
            seen.add(sample_id)
            try:
                yield load_sample(root, sample_id)
            except DataError as error:
                yield error

    return load(ids)
