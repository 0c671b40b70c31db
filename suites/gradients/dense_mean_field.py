"""Mean field written out as one dense matrix, in numpy float64: the oracle of the CRF layers.

Nothing here uses the operators, torch or a sliding window: for tiny images, the whole message of a pairwise
kernel is a matrix over (class, pixel) pairs, filled entry by entry from its definition.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DenseKernel:
    """One pairwise kernel of a mean field.

    Attributes:
        filters: (C, C, k, k): what class l' at a tap sends to class l.
        features: (G, H, W) edge features at full resolution, or None for a kernel of 1 everywhere.
        dilation: spacing of the taps.
        blur: the message is computed at 1/blur of the resolution.
        weight: what the message is multiplied by before it is subtracted.
    """

    filters: Array
    features: Array | None
    dilation: int = 1
    blur: int = 1
    weight: float = 1.0


def mean_field(
    unary: Array, kernels: Sequence[DenseKernel], *, steps: int, unary_weight: float = 1.0, start: Array | None = None
) -> Array:
    """Log-potentials (C, H, W) after some steps from softmax(start), or from softmax(unary)."""
    matrix = sum((kernel.weight * message_matrix(kernel, unary.shape) for kernel in kernels), np.zeros(()))
    beliefs = unary if start is None else start
    for _ in range(steps):
        beliefs = unary_weight * unary - (matrix @ softmax(beliefs).ravel()).reshape(unary.shape)
    return beliefs


def softmax(logits: Array) -> Array:
    """Softmax over the first axis."""
    scaled = np.exp(logits - logits.max(axis=0))
    return np.asarray(scaled / scaled.sum(axis=0))


def message_matrix(kernel: DenseKernel, shape: tuple[int, ...]) -> Array:
    """(C·H·W, C·H·W): pool, filter and upsample in one matrix."""
    classes, height, width = shape
    pool = pooling_matrix((height, width), kernel.blur)
    small = (-(-height // kernel.blur), -(-width // kernel.blur))
    features = np.zeros((1, *small))
    if kernel.features is not None:
        features = (kernel.features.reshape(len(kernel.features), -1) @ pool.T).reshape(-1, *small)
    filtering = filtering_matrix(kernel.filters, features, kernel.dilation)
    each_class = np.eye(classes)
    upsample = upsampling_matrix((height, width), kernel.blur)
    return np.asarray(np.kron(each_class, upsample) @ filtering @ np.kron(each_class, pool))


def filtering_matrix(filters: Array, features: Array, dilation: int) -> Array:
    """(C·h·w, C·h·w): `filters` at the taps that lie in the image, times exp(-½ ‖f_j - f_i‖²)."""
    classes, _, side, _ = filters.shape
    _, height, width = features.shape
    matrix = np.zeros((classes, height, width, classes, height, width))
    for y, x, row, column in itertools.product(range(height), range(width), range(side), range(side)):
        there_y = y + (row - side // 2) * dilation
        there_x = x + (column - side // 2) * dilation
        if 0 <= there_y < height and 0 <= there_x < width:
            difference = features[:, there_y, there_x] - features[:, y, x]
            matrix[:, y, x, :, there_y, there_x] = filters[:, :, row, column] * np.exp(-0.5 * difference @ difference)
    return matrix.reshape(classes * height * width, -1)


def pooling_matrix(size: tuple[int, int], factor: int) -> Array:
    """(h·w, H·W): each cell is the average of the pixels that lie in it."""
    return np.asarray(np.kron(_pooling_line(size[0], factor), _pooling_line(size[1], factor)))


def upsampling_matrix(size: tuple[int, int], factor: int) -> Array:
    """(H·W, h·w): each pixel is interpolated between the centres of its nearest cells."""
    return np.asarray(np.kron(_upsampling_line(size[0], factor), _upsampling_line(size[1], factor)))


def _first_pixel(length: int, factor: int) -> int:
    """Where pixel 0 lies among the pixels of the padded line."""
    missing = -length % factor
    return (missing + 1) // 2


def _pooling_line(length: int, factor: int) -> Array:
    line = np.zeros((-(-length // factor), length))
    for pixel in range(length):
        line[(pixel + _first_pixel(length, factor)) // factor, pixel] = 1
    return np.asarray(line / line.sum(axis=1, keepdims=True))


def _upsampling_line(length: int, factor: int) -> Array:
    cells = -(-length // factor)
    line = np.zeros((length, cells))
    for pixel in range(length):
        place = (pixel + _first_pixel(length, factor) + 0.5) / factor - 0.5
        place = min(max(place, 0.0), cells - 1.0)
        lower = int(place)
        line[pixel, lower] += 1 - (place - lower)
        line[pixel, min(lower + 1, cells - 1)] += place - lower
    return line
