"""Unaries from files: what a network said about each image, kept as arrays beside the images.

For each image ID one `ID.npz` or `ID.npy` with an array (C, h, w): either floating point logits or
log-probabilities, or uint8 `u` that stands for the log-probability -0.05 · u. An `.npz` holds one array, or
one named `u8` among others. Pickled arrays are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.npyio import NpzFile
from torch import Tensor
from torch.nn import functional

from pacbench.data.data_error import DataError

LOG_PROBABILITY_STEP = -0.05  # of one step of a uint8 array
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error)


def find_folder(root: Path) -> Path:
    """The subfolder of `root` whose name starts with `unary`.

    Raises:
        DataError: there is none, or more than one.
    """
    folders = sorted(path for path in root.glob("unary*") if path.is_dir())
    if len(folders) != 1:
        got = ", ".join(folder.name for folder in folders) or "none"
        raise DataError(f"{root}: got {got}, expected one folder unary* with ID.npz or ID.npy files")
    return folders[0]


def read_unary(path: Path, num_classes: int, size: tuple[int, int]) -> Tensor:
    """Read one unary and upsample it (bilinear, align_corners=True) to an image's size.

    Args:
        path: an `.npz` or `.npy` file.
        num_classes: C.
        size: H and W of the image.

    Returns:
        float32 (C, H, W), logits or log-probabilities.

    Raises:
        DataError: no such file, a broken or pickled one, or an array of another dtype, shape or number of
            classes, or with a value that is not finite.
    """
    array = read_array(path)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise DataError(f"{path}: got an array of {array.dtype}, expected floating point or uint8")
    if array.ndim != 3 or array.shape[0] != num_classes or 0 in array.shape:
        raise DataError(f"{path}: got an array of shape {array.shape}, expected ({num_classes}, h, w)")
    scale = LOG_PROBABILITY_STEP if array.dtype == np.uint8 else 1.0
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is named below
        coarse = torch.from_numpy(np.asarray(array, dtype=np.float32)) * scale
    unusable = int((~torch.isfinite(coarse)).sum())
    if unusable:
        raise DataError(f"{path}: got {unusable} values that are not finite in float32, expected none")
    return functional.interpolate(coarse[None], size, mode="bilinear", align_corners=True)[0]


def load_unary(folder: Path, sample_id: str, num_classes: int, size: tuple[int, int]) -> Tensor:
    """Read the unary of one image from `folder`; arguments, result and errors as for :func:`read_unary`."""
    if Path(sample_id).name != sample_id or sample_id in ("", ".", ".."):
        raise DataError(f"{folder}: got the ID {sample_id!r}, expected a plain file name")
    for suffix in (".npz", ".npy"):
        path = folder / f"{sample_id}{suffix}"
        if path.is_file():
            return read_unary(path, num_classes, size)
    raise DataError(f"{folder / sample_id}.npz: got no file, expected {sample_id}.npz or {sample_id}.npy")


def read_array(path: Path) -> npt.NDArray[Any]:
    """Read a plain array from an `.npy` file or an `.npz` file that holds one.

    Raises:
        DataError: the file is missing, broken, pickled, or holds another number of arrays.
    """
    try:
        with path.open("rb") as file:  # numpy leaves a file that it opened itself open when it is broken
            return _only_array(path, np.load(file, allow_pickle=False))
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: got no file, expected an .npz or .npy array") from error
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: got a file that cannot be read ({reason}), expected a plain array") from error


def _only_array(path: Path, loaded: npt.NDArray[Any] | NpzFile) -> npt.NDArray[Any]:
    if isinstance(loaded, np.ndarray):
        return loaded
    names = list(loaded.files)
    if "u8" not in names and len(names) != 1:
        got = ", ".join(names) or "no array"
        raise DataError(f"{path}: got {got}, expected one array, or one named u8")
    array: npt.NDArray[Any] = loaded["u8" if "u8" in names else names[0]]
    return array
