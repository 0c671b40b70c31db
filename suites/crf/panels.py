"""Example pictures: an image, its truth, its unary and what a method made of it, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pacbench.data.voc_palette import voc_palette

from .dataset import Item

_GAP = 4
_WIDEST = 400


def panel(item: Item, prediction: Tensor) -> bytes:
    """A PNG of image, truth, unary and prediction (H, W), each at most 400 pixels wide."""
    return pictures_of(item.image[0], [item.labels, item.unary[0].argmax(dim=0), prediction])


def pictures_of(image: Tensor, labels: Sequence[Tensor]) -> bytes:
    """A PNG of an image (3, H, W) in [0, 255] and label images (H, W), each at most 400 pixels wide."""
    pictures = [image.permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy()]
    pictures += [label_colours(values) for values in labels]
    step = -(-pictures[0].shape[1] // _WIDEST)
    smaller = [picture[::step, ::step] for picture in pictures]
    gap = np.full((smaller[0].shape[0], _GAP, 3), 255, np.uint8)
    row = [part for picture in smaller for part in (picture, gap)][:-1]
    file = io.BytesIO()
    Image.fromarray(np.concatenate(row, axis=1)).save(file, "PNG", optimize=True)
    return file.getvalue()


def label_colours(labels: Tensor) -> np.ndarray:
    """Labels (H, W) in the palette of PASCAL VOC (void is cream), uint8 (H, W, 3)."""
    return np.asarray(voc_palette()[labels.cpu().numpy().astype(np.uint8)])
