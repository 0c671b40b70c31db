"""A plain layout for data of one's own: `images/ID.jpg`, `labels/ID.png`, `splits/SPLIT.txt`, `classes.txt`.

Masks hold class indices from 0, in the order of `classes.txt` (one name a line), and 255 for void; `train.txt` and
`val.txt` hold one ID a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.masks import VOID, find_image, read_list, read_pair

_NEEDED = ("train", "val")


def is_layout(root: Path) -> bool:
    """Whether a folder looks like this layout: it has both images and labels."""
    return (root / "images").is_dir() and (root / "labels").is_dir()


def class_names(root: Path) -> tuple[str, ...]:
    """The names in `classes.txt`; DataError where it is missing or broken, or names fewer than 2 or more than 255."""
    path = root / "classes.txt"
    names = read_list(path, "the name of a class in each line")
    if not 2 <= len(names) <= VOID:
        raise DataError(f"{path}: got {len(names)} classes, expected 2 to {VOID}")
    return names


def splits(root: Path) -> Mapping[str, tuple[str, ...]]:
    """IDs of each split that `splits/` lists.

    Raises:
        DataError: no `train.txt` or `val.txt`, a broken list, or an ID that is in both.
    """
    lists = sorted((root / "splits").glob("*.txt"))
    found = {path.stem: read_list(path, "an ID in each line") for path in lists}
    for name in _NEEDED:
        if name not in found:
            there = ", ".join(found) or "none"
            raise DataError(f"{root / 'splits' / name}.txt: got no file, expected an ID in each line; there is {there}")
    both = sorted(set(found["train"]) & set(found["val"]))
    if both:
        raise DataError(f"{root / 'splits'}: got {both[0]!r} in train and val, expected each ID in one of them")
    return found


def load(root: Path, item_id: str, num_classes: int) -> tuple[Tensor, Tensor]:
    """An image float32 (3, H, W) and its labels int64 (H, W).

    Raises:
        DataError: a missing or broken picture, sizes that differ, or a label that is neither a class nor 255.
    """
    return read_pair(find_image(root / "images", item_id), root / "labels" / f"{item_id}.png", num_classes)
