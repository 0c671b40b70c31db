"""The lattice as dense float64 matrices, from keys and barycentric weights alone; shares no code with the kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from pacbench.crf.lattice import PermutohedralLattice


def splat_matrix(lattice: PermutohedralLattice) -> Tensor:
    """(points, pixels)."""
    simplices = lattice.simplices
    matrix = torch.zeros(lattice.points, lattice.pixels, dtype=torch.float64)
    for pixel, (vertices, weights) in enumerate(zip(simplices.vertices, simplices.barycentric, strict=True)):
        for vertex, weight in zip(vertices.tolist(), weights.tolist(), strict=True):
            matrix[vertex, pixel] += weight
    return matrix


def full_keys(lattice: PermutohedralLattice) -> list[tuple[int, ...]]:
    """All d + 1 coordinates of each point, which sum to zero."""
    return [(*key, -sum(key)) for key in lattice.simplices.keys.tolist()]


def shift_matrix(lattice: PermutohedralLattice, step: tuple[int, ...]) -> Tensor:
    """(points, points): takes the value of the point at key + step; zero where there is none."""
    keys = full_keys(lattice)
    index = {key: i for i, key in enumerate(keys)}
    matrix = torch.zeros(lattice.points, lattice.points, dtype=torch.float64)
    for i, key in enumerate(keys):
        other = index.get(tuple(a + b for a, b in zip(key, step, strict=True)))
        if other is not None:
            matrix[i, other] = 1
    return matrix


def axis_step(dimensions: int, axis: int) -> tuple[int, ...]:
    return tuple(dimensions if i == axis else -1 for i in range(dimensions + 1))


def blur_matrix(lattice: PermutohedralLattice) -> Tensor:
    """[1/2 1 1/2] along axis 0, then 1, … then d, over 1 + 2^-d."""
    d = lattice.dimensions
    matrix = torch.eye(lattice.points, dtype=torch.float64)
    for axis in range(d + 1):
        step = axis_step(d, axis)
        ahead, behind = shift_matrix(lattice, step), shift_matrix(lattice, tuple(-s for s in step))
        matrix = matrix + 0.5 * (ahead + behind) @ matrix
    return matrix / (1 + 2.0**-d)


def filter_matrix(lattice: PermutohedralLattice, *, normalise: bool = False) -> Tensor:
    """(pixels, pixels)."""
    splat = splat_matrix(lattice)
    matrix = splat.t() @ blur_matrix(lattice) @ splat
    if normalise:
        scale = (matrix.sum(dim=1) + 1e-20).rsqrt()
        matrix = scale[:, None] * matrix * scale
    return matrix
