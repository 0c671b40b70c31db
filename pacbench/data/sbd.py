"""SBD (Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011) as published: masks in MATLAB files.

`dataset/img/ID.jpg`, `dataset/cls/ID.mat` (`GTcls.Segmentation`, classes as in VOC, no void), `dataset/train.txt` and
`val.txt`. It labels VOC 2012 images of which some are in VOC's val; whoever trains on it must leave those out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.image_files import read_colour
from pacbench.data.masks import check_labels, find_image, read_list
from pacbench.data.voc2012 import NUM_CLASSES

_PLACES = ("benchmark_RELEASE/dataset", "SBD/dataset", "SBD", "sbd/dataset", "sbd")


def find_folder(root: Path) -> Path | None:
    """The folder that holds `cls` and `img`, below `root` or beside its VOC folder; None where there is none."""
    candidates = [root / place for place in _PLACES]
    return next((path for path in candidates if (path / "cls").is_dir() and (path / "img").is_dir()), None)


def ids(folder: Path) -> tuple[str, ...]:
    """Every ID of its two lists; DataError where one is missing or broken."""
    lists = [read_list(folder / f"{split}.txt", "an ID in each line") for split in ("train", "val")]
    return tuple(dict.fromkeys(item_id for listed in lists for item_id in listed))


def load(folder: Path, item_id: str) -> tuple[Tensor, Tensor]:
    """An image float32 (3, H, W) and its labels int64 (H, W).

    Raises:
        DataError: a missing or broken picture or MATLAB file, sizes that differ, or a label that is no class.
    """
    image = read_colour(find_image(folder / "img", item_id))
    path = folder / "cls" / f"{item_id}.mat"
    labels = _read_mask(path)
    check_labels(path, image, labels, NUM_CLASSES)
    return image, labels


def _read_mask(path: Path) -> Tensor:
    if not path.is_file():
        raise DataError(f"{path}: got no file, expected a MATLAB file with GTcls.Segmentation")
    try:
        mask = np.asarray(loadmat(path)["GTcls"]["Segmentation"][0, 0])
    except Exception as error:  # scipy's reader of MATLAB files raises what its parts raise
        raise DataError(
            f"{path}: got a file that cannot be read ({type(error).__name__}: {error}), expected a MATLAB file with "
            "GTcls.Segmentation"
        ) from error
    if mask.ndim != 2 or mask.dtype.kind not in "ui":
        raise DataError(f"{path}: got {mask.dtype} of shape {mask.shape}, expected whole numbers (H, W)")
    return torch.from_numpy(mask.astype(np.int64))
