"""16-bit PNG files, which hold measurements rather than pictures: checked chunk by chunk, decoded by OpenCV.

OpenCV gives back an image, and no word of complaint, for some files that are cut off; Pillow reads no 16-bit colour.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pacbench.data.data_error import DataError

LARGEST_SIDE = 65_535
"""Pixels; a header that promises more in one axis is taken for a broken one."""

LARGEST_IMAGE = 2**28
"""Pixels; as above."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_ROOM = 12  # length, type and checksum


def read_png16(path: Path, channels: int) -> npt.NDArray[np.uint16]:
    """Read a 16-bit PNG file.

    Args:
        path: The file.
        channels: 1 (grey) or 3 (colour).

    Returns:
        uint16 (H, W), or (H, W, 3) in the order R, G, B.

    Raises:
        DataError: there is no such file, it is no whole PNG file, it is absurdly large, or its pixels are others.
    """
    content = read_bytes(path, "a 16-bit PNG file")
    width, height, bits, colour = _header(path, content)
    expect_size(path, width, height)
    kind = {0: "grey", 2: "colour"}.get(colour, f"of colour type {colour}")
    wanted = "grey" if channels == 1 else "colour"
    if bits != 16 or kind != wanted:
        raise DataError(f"{path}: got a picture of {bits} bits, {kind}, expected 16 bits, {wanted}")
    decoded: npt.NDArray[Any] | None
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{path}: got pixels that cannot be decoded ({error}), expected a PNG file") from error
    if decoded is None or decoded.dtype != np.uint16 or decoded.shape[:2] != (height, width):
        raise DataError(f"{path}: got pixels that cannot be decoded, expected {height} x {width} of them")
    return np.ascontiguousarray(decoded if channels == 1 else decoded[:, :, ::-1])


def read_bytes(path: Path, what: str) -> bytes:
    """The contents of a file; DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: got no file, expected {what}") from error
    except OSError as error:
        raise DataError(f"{path}: got a file that cannot be read ({error.strerror}), expected {what}") from error


def expect_size(path: Path, width: int, height: int) -> None:
    """Refuse sizes that no image has; DataError."""
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE and width * height <= LARGEST_IMAGE):
        raise DataError(
            f"{path}: got an image of {width} x {height} pixels by its header, expected 1 to {LARGEST_SIDE} in each "
            f"axis and {LARGEST_IMAGE} at most"
        )


def _header(path: Path, content: bytes) -> tuple[int, int, int, int]:
    """Width, height, bits and colour type, once every chunk has been found whole."""
    if not content.startswith(_SIGNATURE):
        raise DataError(f"{path}: got a file that begins with {content[:8]!r}, expected a PNG file")
    place, header = len(_SIGNATURE), None
    while place + _CHUNK_ROOM <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        end = place + _CHUNK_ROOM + length
        if end > len(content):
            break
        checksum = struct.unpack_from(">I", content, end - 4)[0]
        if zlib.crc32(content[place + 4 : end - 4]) != checksum:
            raise DataError(f"{path}: got a chunk {name!r} with a wrong checksum, expected a sound PNG file")
        if header is None:
            if name != b"IHDR" or length != 13:
                raise DataError(f"{path}: got {name!r} as the first chunk, expected the header of a PNG file")
            header = struct.unpack_from(">IIBB", content, place + 8)
        if name == b"IEND":
            return header
        place = end
    raise DataError(f"{path}: got a file that ends after {len(content)} bytes, expected a whole PNG file")
