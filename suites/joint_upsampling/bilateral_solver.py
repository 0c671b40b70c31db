"""Upsampling by the fast bilateral solver (Barron & Poole, ECCV 2016): ours, on scipy.sparse.

It finds the image x that minimises λ/2 Σ Ŵ_ij (x_i - x_j)² + Σ c_i (x_i - t_i)²: near the target t where the confidence
c is high, smooth where the guide is. Ŵ is the bistochastised bilateral affinity, so that the problem is solved between
the vertices of a bilateral grid, by conjugate gradients with a Jacobi preconditioner.

For upsampling, as in the authors' own case, the target is the interpolated image, and the confidence a Gaussian of
f / 4 pixels around each sample that is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .bilateral_grid import Array, Bandwidths, BilateralGrid
from .interpolation import aligned_bilinear
from .sampling import LowResolution, offset

_TOLERANCE = 1e-5
_ITERATIONS = 25
_LEAST_DIAGONAL = 1e-5
_CONFIDENCE_SIGMA = 0.25  # of the factor


def solve(
    grid: BilateralGrid,
    target: Array,
    confidence: Array,
    smoothness: float,
    *,
    tolerance: float = _TOLERANCE,
    iterations: int = _ITERATIONS,
) -> Array:
    """Solve for one image.

    Args:
        grid: Of a guide of H x W pixels.
        target: (H, W).
        confidence: (H, W), 0 or more; what the target is where it is 0 does not matter.
        smoothness: λ.
        tolerance: Of the residual, relative to the right-hand side.
        iterations: Of conjugate gradients, at most.

    Returns:
        (H, W).
    """
    weight, known = confidence.ravel(), confidence.ravel() > 0
    certain = grid.splat @ weight
    wanted = grid.splat @ (weight * np.where(known, target.ravel(), 0.0))
    scaled = sparse.diags_array(grid.n)
    system = (
        smoothness * (sparse.diags_array(grid.m) - scaled @ grid.blur @ scaled) + sparse.diags_array(certain)
    ).tocsr()
    jacobi = sparse.diags_array(1.0 / np.maximum(system.diagonal(), _LEAST_DIAGONAL))
    start = wanted / np.maximum(certain, _LEAST_DIAGONAL)
    start[certain <= _LEAST_DIAGONAL] = wanted.sum() / max(certain.sum(), _LEAST_DIAGONAL)
    found, _ = sparse.linalg.cg(system, wanted, start, rtol=tolerance, maxiter=iterations, M=jacobi)
    result: Array = (grid.splat.T @ found).reshape(target.shape)
    return result


@dataclass(frozen=True)
class BilateralSolver:
    """The solver as an upsampling method.

    Attributes:
        colour_sigma: Side of a cell in luminance and chrominance, of colours in 0..255.
        smoothness: λ.
        place_sigma: Side of a cell in place, in samples: half of one in the authors' case.
    """

    colour_sigma: float
    smoothness: float
    place_sigma: float = 0.5

    def __call__(self, low: LowResolution) -> Tensor:
        """Upsample; see the module."""
        guide = low.guide[0].permute(1, 2, 0).cpu().numpy().astype(np.float64)
        place = max(1.0, self.place_sigma * low.factor)
        grid = BilateralGrid(guide, Bandwidths(place, self.colour_sigma, self.colour_sigma))
        confidence = sample_confidence(low)
        targets = aligned_bilinear(low)[0].cpu().numpy().astype(np.float64)
        solved = [solve(grid, target, confidence, self.smoothness) for target in targets]
        return torch.from_numpy(np.stack(solved))[None].to(low.values)


def sample_confidence(low: LowResolution) -> Array:
    """exp(-½ d² / (f / 4)²), (H, W), d the distance to the nearest sample, and 0 where that is not known."""
    valid = low.valid[0, 0].cpu().numpy()
    line: list[Array] = []
    nearest: list[np.ndarray] = []
    for size, samples in zip(low.size, valid.shape, strict=True):
        pixels = np.arange(size) - offset(low.factor)
        index = np.floor(pixels / low.factor + 0.5).clip(0, samples - 1).astype(np.int64)
        nearest.append(index)
        line.append(np.exp(-0.5 * ((pixels - index * low.factor) / (_CONFIDENCE_SIGMA * low.factor)) ** 2))
    return np.asarray(np.outer(line[0], line[1]) * valid[np.ix_(nearest[0], nearest[1])])
