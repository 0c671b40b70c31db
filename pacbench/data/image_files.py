"""Pictures from files: colour images, and masks whose pixel values are class indices."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pacbench.data.data_error import DataError

# What Pillow is known to raise for files that are cut off or are not what they say.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def read_colour(path: Path) -> Tensor:
    """Read a picture as float32 (3, H, W), RGB, whole numbers in 0..255.

    Raises:
        DataError: there is no such file, or it cannot be decoded to its end.
    """
    try:
        with Image.open(path) as picture:
            opaque = picture.convert("RGBA") if "transparency" in picture.info else picture
            pixels = np.array(opaque.convert("RGB"))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).contiguous()


def read_indices(path: Path) -> Tensor:
    """Read a mask as int64 (H, W): a palette picture's indices, or an 8 bit grey picture's values.

    Raises:
        DataError: there is no such file, it cannot be decoded to its end, or it holds colours, not indices.
    """
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            pixels = np.array(picture)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if mode not in ("P", "L"):
        raise DataError(f"{path}: got a picture of mode {mode}, expected a palette (P) or 8 bit grey (L) picture")
    return torch.from_numpy(pixels).to(torch.int64)


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: got no file, expected a picture")
    return DataError(f"{path}: got a file that cannot be decoded ({error}), expected a whole picture")
