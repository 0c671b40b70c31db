"""CamVid in the layout of SegNet's split: `SPLIT/NAME.png` beside `SPLITannot/NAME.png` (Brostow et al., PRL 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.masks import read_pair

CLASS_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
UNLABELLED = len(CLASS_NAMES)
SPLITS = ("train", "val", "test")


def is_layout(root: Path) -> bool:
    """Whether a folder looks like CamVid: it has masks of the training images."""
    return (root / "trainannot").is_dir()


def splits(root: Path) -> Mapping[str, tuple[str, ...]]:
    """Names of the images of each split, in alphabetical order; `test` where there is one.

    Raises:
        DataError: no train or val, an empty split, or an image without a mask or a mask without an image.
    """
    found = {}
    for split in SPLITS:
        images, masks = root / split, root / f"{split}annot"
        if split == "test" and not (images.is_dir() and masks.is_dir()):
            continue
        for folder in (images, masks):
            if not folder.is_dir():
                raise DataError(f"{folder}: got no folder, expected pictures NAME.png")
        names, masked = ({path.stem for path in folder.glob("*.png")} for folder in (images, masks))
        alone = sorted(names ^ masked)
        if alone:
            where, other = (images, masks) if alone[0] in names else (masks, images)
            raise DataError(f"{where / alone[0]}.png: got no picture of that name in {other}, expected one in both")
        if not names:
            raise DataError(f"{images}: got no picture, expected NAME.png")
        found[split] = tuple(sorted(names))
    return found


def load(root: Path, split: str, name: str) -> tuple[Tensor, Tensor]:
    """An image float32 (3, H, W) and its labels int64 (H, W), 255 where the file says unlabelled (11).

    Raises:
        DataError: a missing or broken picture, sizes that differ, or a label beyond 11.
    """
    image, mask = root / split / f"{name}.png", root / f"{split}annot" / f"{name}.png"
    return read_pair(image, mask, len(CLASS_NAMES), UNLABELLED)
