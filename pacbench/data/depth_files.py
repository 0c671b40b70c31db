"""Depth and disparity from files: 16-bit PNG, and the portable float map (PFM) of Middlebury.

Both readers give the values and where they are known. What a file marks as unknown (0 in a PNG), and what is NaN or
infinite, is 0 in the values and False in the mask.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.png_files import expect_size, read_bytes, read_png16

_PFM_HEADER = re.compile(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+(\S+)[ \t\r]*\n")
_HEADER_ROOM = 200


@dataclass(frozen=True, eq=False)
class Depth:
    """Depth or disparity of an image of height H and width W.

    Attributes:
        values: float32 (H, W), in the file's unit; 0 where they are unknown.
        known: bool (H, W).
    """

    values: Tensor
    known: Tensor


def read_depth_png(path: Path, steps: float) -> Depth:
    """Read a 16-bit grey PNG file, in which 0 is unknown.

    Args:
        path: The file.
        steps: Steps of the file in one unit: 256 in KITTI's, 1000 in files that hold millimetres of metres.

    Raises:
        DataError: there is no such file, it is no whole 16-bit grey PNG file, or `steps` is not above 0.
    """
    if not (math.isfinite(steps) and steps > 0):
        raise DataError(f"{path}: got {steps} steps in one unit, expected a number above 0")
    pixels = read_png16(path, 1)
    return Depth(torch.from_numpy(pixels.astype(np.float32) / np.float32(steps)), torch.from_numpy(pixels > 0))


def read_pfm(path: Path) -> Depth:
    """Read a grey portable float map (Debevec): the last row comes first, a negative scale means little-endian.

    The scale's size is not applied, as the readers of the Middlebury stereo sets do not either.

    Raises:
        DataError: there is no such file, its header is no grey PFM's or its size absurd, or it holds fewer or more
            numbers than its header promises.
    """
    content = read_bytes(path, "a .pfm file")
    header = _PFM_HEADER.match(content[:_HEADER_ROOM])
    if header is None:
        raise DataError(f"{path}: got a file that begins with {content[:8]!r}, expected the header of a .pfm file")
    kind, width, height = header[1], int(header[2]), int(header[3])
    if kind != b"Pf":
        raise DataError(f"{path}: got a colour .pfm file, expected a grey one (Pf)")
    scale = _scale(path, header[4])
    expect_size(path, width, height)
    numbers = content[header.end() :]
    if len(numbers) != 4 * width * height:
        raise DataError(
            f"{path}: got {len(numbers)} bytes after the header, expected {4 * width * height} for its "
            f"{width} x {height} pixels"
        )
    rows = np.frombuffer(numbers, "<f4" if scale < 0 else ">f4").reshape(height, width)[::-1]
    values = torch.from_numpy(rows.astype(np.float32))
    known = torch.isfinite(values)
    return Depth(torch.where(known, values, 0.0), known)


def _scale(path: Path, word: bytes) -> float:
    try:
        scale = float(word)
    except ValueError:
        scale = math.nan
    if not math.isfinite(scale) or scale == 0:
        raise DataError(f"{path}: got {word!r} as the scale, expected a number that is not 0")
    return scale
