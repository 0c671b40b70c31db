"""NYU Depth V2 (Silberman et al., ECCV 2012): colour images with in-painted depth.

Two layouts are read. The published one is the single file `nyu_depth_v2_labeled.mat` of 1449 frames, of which joint
upsampling trains on the first 1000 and is tested on the last 449 (Li et al., ECCV 2016); it needs h5py. The other is a
folder: `rgb/ID.jpg`, `depth/ID.png` of 8 bits with `depth_scale.csv`, `train.txt` and `test.txt`, where
depth = (p + 0.5) / 255 · dmax of the frame. Nothing is downloaded.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.id_lists import read_ids
from pacbench.data.image_files import read_colour, read_indices

FILE = "nyu_depth_v2_labeled.mat"
FRAMES = 1449
TRAINED_ON = 1000
SPLITS = ("train", "test")

_FOLDERS = ("rgb", "depth")
_SCALES = "depth_scale.csv"
_LEVELS = 255.0


@dataclass(frozen=True, eq=False)
class NyuSample:
    """One frame of height H and width W.

    Attributes:
        id: five digits: the frame's place in the published file, counted from 0.
        image: float32 (3, H, W), RGB, 0..255.
        depth: float32 (H, W), metres; 0 where it is unknown.
        known: bool (H, W).
    """

    id: str
    image: Tensor
    depth: Tensor
    known: Tensor


def is_here(root: Path) -> bool:
    """Whether a folder has one of the two layouts."""
    return (root / FILE).is_file() or ((root / _SCALES).is_file() and all((root / name).is_dir() for name in _FOLDERS))


def split_ids(root: Path, split: str) -> tuple[str, ...]:
    """The IDs of `train` or `test`.

    Raises:
        DataError: another split, neither layout, a broken list, or a published file of another number of frames.
    """
    if split not in SPLITS:
        raise DataError(f"{root}: got split {split!r}, expected one of {', '.join(SPLITS)}")
    if not is_here(root):
        raise DataError(f"{root}: got no NYU Depth V2, expected {FILE}, or rgb, depth and {_SCALES}")
    if not (root / FILE).is_file():
        return read_ids(root / f"{split}.txt")
    with _opened(root / FILE) as file:
        frames = _array(file, root / FILE, "depths").shape[0]
    if frames != FRAMES:
        raise DataError(f"{root / FILE}: got {frames} frames, expected {FRAMES}")
    return tuple(f"{index:05d}" for index in (range(TRAINED_ON) if split == "train" else range(TRAINED_ON, FRAMES)))


def load_sample(root: Path, sample_id: str) -> NyuSample:
    """Load one frame.

    Raises:
        DataError: no such frame; a missing or broken file; an image and a depth of different size; a depth that is
            nowhere known.
    """
    sample = _from_mat(root / FILE, sample_id) if (root / FILE).is_file() else _from_folder(root, sample_id)
    if sample.image.shape[1:] != sample.depth.shape:
        raise DataError(
            f"{root}, frame {sample_id}: got an image of {tuple(sample.image.shape[1:])} and a depth of "
            f"{tuple(sample.depth.shape)}, expected one size"
        )
    if not bool(sample.known.any()):
        raise DataError(f"{root}, frame {sample_id}: got a depth that is nowhere known, expected one that is")
    return sample


def _from_folder(root: Path, sample_id: str) -> NyuSample:
    scales = _scales(root / _SCALES)
    if sample_id not in scales:
        raise DataError(f"{root / _SCALES}: got no line of frame {sample_id}, expected its largest depth")
    levels = read_indices(root / "depth" / f"{sample_id}.png").to(torch.float32)
    depth = (levels + 0.5) / _LEVELS * scales[sample_id]
    return NyuSample(
        sample_id, read_colour(root / "rgb" / f"{sample_id}.jpg"), depth, torch.ones_like(depth, dtype=torch.bool)
    )


@lru_cache(maxsize=4)
def _scales(path: Path) -> dict[str, float]:
    """The largest depth of each frame, in metres."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected id and dmax_m") from error
    scales: dict[str, float] = {}
    for number, row in enumerate(rows, start=2):
        try:
            name, largest = str(row["id"]), float(row["dmax_m"])
        except (KeyError, TypeError, ValueError):
            largest = math.nan
        if not (math.isfinite(largest) and largest > 0):
            raise DataError(f"{path}, line {number}: got {row}, expected an id and a dmax_m above 0")
        scales[name] = largest
    return scales


def _from_mat(path: Path, sample_id: str) -> NyuSample:
    with _opened(path) as file:
        images, depths = _array(file, path, "images"), _array(file, path, "depths")
        if not sample_id.isdecimal() or int(sample_id) >= min(images.shape[0], depths.shape[0]):
            raise DataError(f"{path}: got frame {sample_id!r}, expected 0 to {depths.shape[0] - 1}")
        try:  # MATLAB stores columns first: both have their axes turned
            image = np.asarray(images[int(sample_id)], np.float32).transpose(0, 2, 1)
            depth = np.asarray(depths[int(sample_id)], np.float32).T
        except (OSError, ValueError) as error:
            raise DataError(f"{path}, frame {sample_id}: got data that cannot be read ({error})") from error
    known = np.isfinite(depth) & (depth > 0)
    values = np.where(known, depth, np.float32(0))
    return NyuSample(
        sample_id, torch.from_numpy(image.copy()), torch.from_numpy(values.copy()), torch.from_numpy(known.copy())
    )


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{path}: got no h5py to read it with; pip install pacbench[nyu]") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}), expected a MATLAB 7.3 file") from error


def _array(file: Any, path: Path, name: str) -> Any:
    found = file.get(name)
    ranks = {"images": 4, "depths": 3}
    if found is None or getattr(found, "ndim", None) != ranks[name]:
        got = "nothing" if found is None else f"an array of shape {getattr(found, 'shape', '?')}"
        raise DataError(f"{path}: got {got} as {name}, expected an array of {ranks[name]} axes")
    return found
