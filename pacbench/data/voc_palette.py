"""Label images in the palette of PASCAL VOC, as its evaluation server takes them."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor


def voc_palette() -> npt.NDArray[np.uint8]:
    """The colour of each index, uint8 (256, 3): the bits of an index spread over the channels, the high ones first."""
    indices = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((((indices >> (3 * bit + channel)) & 1) << (7 - bit)) & 255).astype(np.uint8)
    return colours


def palette_png(labels: Tensor) -> bytes:
    """A palette PNG of labels (H, W), 0 to 255, whose pixel values are the labels.

    Raises:
        ValueError: another shape, or a value that does not fit.
    """
    if labels.dim() != 2 or (labels.numel() and (int(labels.min()) < 0 or int(labels.max()) > 255)):
        raise ValueError(f"palette_png: got labels of shape {tuple(labels.shape)}, expected (H, W) with 0 to 255")
    picture = Image.fromarray(labels.cpu().numpy().astype(np.uint8))
    picture.putpalette(voc_palette().reshape(-1).tolist())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
