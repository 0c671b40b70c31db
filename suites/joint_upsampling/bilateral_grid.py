"""The simplified bilateral grid of the fast bilateral solver (Barron & Poole, ECCV 2016, section 3 and supplement).

Pixels whose place, luminance and chrominance fall into one cell share a vertex. Blurring adds twice a vertex and both
neighbours, in each dimension; bistochastisation finds n and m such that each row of diag(n) B diag(n) sums to m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[np.float64]
_ROUNDS = 10
_COLOURS = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])  # BT.601
_MIDDLE = 128.0  # chrominances lie in 0..255


@dataclass(frozen=True)
class Bandwidths:
    """Sides of a cell: of place in pixels, of luminance and of chrominance in levels of 0..255."""

    place: float
    luminance: float
    chrominance: float


class BilateralGrid:
    """The grid of one guide.

    Args:
        guide: (H, W, G), RGB or grey in 0..255.
        bandwidths: Sides of a cell.

    Attributes:
        splat: sparse (vertices, pixels), ones: adds up the pixels of a vertex. Its transpose reads them back.
        blur: sparse (vertices, vertices).
        n: Scales of the bistochastised blur.
        m: Sums of its rows, about the pixels of each vertex.
    """

    def __init__(self, guide: Array, bandwidths: Bandwidths) -> None:
        cells = _cells(guide, bandwidths)
        radices = cells.max(axis=0) + 3  # an empty cell at each end: no neighbour across the edge of a dimension
        strides = np.concatenate([[1], np.cumprod(radices[:-1])])
        codes, vertex = np.unique((cells + 1) @ strides, return_inverse=True)
        pixels, vertices = len(cells), len(codes)
        self.splat = sparse.csr_array(
            (np.ones(pixels), (vertex.reshape(-1), np.arange(pixels))), shape=(vertices, pixels)
        )
        self.blur = _blur(codes, strides)
        self.n, self.m = _bistochastised(self.blur, self.splat.sum(axis=1))


def _cells(guide: Array, bandwidths: Bandwidths) -> npt.NDArray[np.int64]:
    height, width, channels = guide.shape
    rows, columns = np.mgrid[:height, :width]
    axes = [columns / bandwidths.place, rows / bandwidths.place]
    if channels == 1:
        axes.append(guide[:, :, 0] / bandwidths.luminance)
    else:
        luminance, *chrominances = np.moveaxis(guide @ _COLOURS.T, -1, 0)
        axes.append(luminance / bandwidths.luminance)
        axes += [(chrominance + _MIDDLE) / bandwidths.chrominance for chrominance in chrominances]
    return np.stack([np.floor(axis).astype(np.int64).ravel() for axis in axes], axis=1)


def _blur(codes: npt.NDArray[np.int64], strides: npt.NDArray[np.int64]) -> sparse.csr_array:
    vertices = len(codes)
    own = np.arange(vertices)
    rows, columns = [own], [own]
    for stride in strides:
        place = np.searchsorted(codes, codes + stride).clip(max=vertices - 1)
        there = codes[place] == codes + stride
        rows += [own[there], place[there]]
        columns += [place[there], own[there]]
    pairs = (np.concatenate(rows), np.concatenate(columns))
    values = np.ones(len(pairs[0]))
    values[:vertices] = 2.0 * len(strides)
    return sparse.csr_array((values, pairs), shape=(vertices, vertices))


def _bistochastised(blur: sparse.csr_array, pixels: Array) -> tuple[Array, Array]:
    """Scales n and sums m = n · (B n), n after ten rounds of n ← sqrt(n · pixels / (B n))."""
    n = np.ones(len(pixels))
    for _ in range(_ROUNDS):
        n = np.sqrt(n * pixels / (blur @ n))
    return n, n * (blur @ n)
