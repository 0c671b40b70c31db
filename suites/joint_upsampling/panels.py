"""Example pictures: guide, samples, truth, result and error, side by side."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from .datasets import Item
from .interpolation import interpolation
from .sampling import LowResolution

_GAP = 4
_PERCENTILE_OF_ERRORS = 99.0

_Picture = npt.NDArray[np.uint8]


def panel(item: Item, low: LowResolution, result: Tensor) -> bytes:
    """A PNG of the guide, the samples, the truth, the result (1, H, W) and its absolute error.

    Values share one colour scale, from the truth's least to its largest known one. The error is black at 0 and
    brightest from the 99th percentile of bilinear upsampling's error on, so that panels of several methods compare.
    Unknown pixels are grey in truth and error.
    """
    truth, values = item.truth[0], result[0]
    known = truth[item.known]
    least, largest = float(known.min()), float(known.max())
    bilinear = (interpolation("bilinear")(low)[0, 0] - truth).abs()[item.known].numpy()
    worst = float(np.percentile(bilinear, _PERCENTILE_OF_ERRORS))
    guide = item.guide.permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy()
    pictures = [guide, _coloured(interpolation("nearest")(low)[0, 0], least, largest, "viridis")]
    pictures.append(_greyed(_coloured(truth, least, largest, "viridis"), item.known))
    pictures.append(_coloured(values, least, largest, "viridis"))
    pictures.append(_greyed(_coloured((values - truth).abs(), 0.0, worst, "magma"), item.known))
    gap = np.full((guide.shape[0], _GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)][:-1]
    file = io.BytesIO()
    Image.fromarray(np.concatenate(row, axis=1)).save(file, "PNG", optimize=True)
    return file.getvalue()


def _coloured(values: Tensor, least: float, largest: float, name: str) -> _Picture:
    scaled = ((values - least) / max(largest - least, 1e-12)).clamp(0, 1).cpu().numpy()
    return np.asarray(colormaps[name](scaled, bytes=True)[..., :3], dtype=np.uint8)


def _greyed(picture: _Picture, known: Tensor) -> _Picture:
    picture = picture.copy()
    picture[~known.numpy()] = 128
    return picture
