"""Optical flow from files: `.flo` of Middlebury, and the 16-bit PNG of KITTI.

Every reader gives the flow and where it is known. What a file marks as unknown, and what is NaN or infinite, is 0 in
the flow and False in the mask.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pacbench.data.data_error import DataError
from pacbench.data.png_files import expect_size, read_bytes, read_png16
from pacbench.metrics.endpoint_error import UNKNOWN_FLOW

_MAGIC = struct.pack("<f", 202021.25)  # the bytes PIEH
_HEADER = 12
_KITTI_ZERO = 32_768.0
_KITTI_STEPS = 64.0  # of a pixel


@dataclass(frozen=True, eq=False)
class Flow:
    """Optical flow of an image of height H and width W.

    Attributes:
        vectors: float32 (2, H, W), pixels: x and y displacement; 0 where it is unknown.
        known: bool (H, W).
    """

    vectors: Tensor
    known: Tensor


def read_flo(path: Path) -> Flow:
    """Read a `.flo` file (Baker et al., IJCV 2011): little-endian float32, components above 1e9 are unknown.

    Raises:
        DataError: there is no such file, it does not begin as a `.flo` file does, its size is absurd, or it holds
            fewer or more numbers than its header promises.
    """
    content = read_bytes(path, "a .flo file")
    if len(content) < _HEADER or content[:4] != _MAGIC:
        raise DataError(f"{path}: got a file that begins with {content[:4]!r}, expected {_MAGIC!r} of a .flo file")
    width, height = struct.unpack_from("<ii", content, 4)
    expect_size(path, width, height)
    expected = _HEADER + 8 * width * height
    if len(content) != expected:
        raise DataError(
            f"{path}: got {len(content)} bytes, expected {expected} for the {width} x {height} pixels of its header"
        )
    numbers = np.frombuffer(content, "<f4", offset=_HEADER).reshape(height, width, 2)
    vectors = torch.from_numpy(numbers.astype(np.float32)).permute(2, 0, 1).contiguous()
    return masked_flow(vectors, (vectors.abs() <= UNKNOWN_FLOW).all(dim=0))


def read_kitti_flow(path: Path) -> Flow:
    """Read a flow PNG of KITTI (Menze & Geiger, CVPR 2015): red and green are 64 · flow + 2^15, blue is validity.

    Raises:
        DataError: there is no such file, or it is no whole 16-bit colour PNG file.
    """
    pixels = read_png16(path, 3).astype(np.float32)
    vectors = torch.from_numpy((pixels[:, :, :2] - _KITTI_ZERO) / _KITTI_STEPS).permute(2, 0, 1).contiguous()
    return masked_flow(vectors, torch.from_numpy(pixels[:, :, 2] > 0))


def masked_flow(vectors: Tensor, known: Tensor) -> Flow:
    """Flow (2, H, W) with 0 where it is not known, bool (H, W)."""
    return Flow(torch.where(known, vectors, 0.0), known)
