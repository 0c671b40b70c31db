"""The taps of a learned filter on the permutohedral lattice: which points are within a radius of a point.

Source: Jampani, Kiefel & Gehler, *Learning Sparse High Dimensional Filters*, CVPR 2016, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

MOST_TAPS = 10_000


@dataclass(frozen=True)
class Neighbourhood:
    """The points that at most `radius` steps along each of the d + 1 axes lead to.

    The d + 1 unit steps sum to zero, so that a point is reached by counts of steps whose least is zero in one way
    only: there are (radius + 1)^(d + 1) - radius^(d + 1) of them, the centre among them.

    Attributes:
        offsets: (taps, d) int32, differences of keys; the centre first.
        mirrored: (taps) int64, the index of the opposite of each offset.
        squared_distances: (taps) float64, in units of the features' standard deviations.
    """

    offsets: Tensor
    mirrored: Tensor
    squared_distances: Tensor

    @property
    def taps(self) -> int:
        """How many there are."""
        return int(self.offsets.shape[0])

    def gaussian(self) -> Tensor:
        """(taps) float64: what the lattice's own blur approximates, cut off at the radius; 1 at the centre.

        A Gaussian filter of variance 1 leaves 3/4 of it to the blur, since splatting and slicing have the rest (Adams
        et al., 2010, section 3).
        """
        return torch.exp(-0.5 * self.squared_distances / 0.75)


@lru_cache(maxsize=32)
def neighbourhood(dimensions: int, radius: int) -> Neighbourhood:
    """The neighbourhood of a radius on the lattice of so many features.

    Raises:
        ValueError: an argument out of its range, or more than 10000 taps.
    """
    if dimensions < 1 or radius < 0:
        raise ValueError(
            f"neighbourhood: got dimensions={dimensions} and radius={radius}, expected at least 1 and at least 0"
        )
    axes = dimensions + 1
    taps = (radius + 1) ** axes - radius**axes
    if taps > MOST_TAPS:
        raise ValueError(
            f"neighbourhood: got {taps} taps (radius {radius}, {dimensions} dimensions), expected at most {MOST_TAPS}"
        )
    counts = [steps for steps in product(range(radius + 1), repeat=axes) if min(steps) == 0]
    # a step along axis j adds d to coordinate j and takes 1 from all others: coordinate = (d + 1) · count - sum
    coordinates = [tuple(axes * count - sum(steps) for count in steps) for steps in counts]
    places = {coordinate: index for index, coordinate in enumerate(coordinates)}
    mirrored = [places[tuple(-c for c in coordinate)] for coordinate in coordinates]
    full = torch.tensor(coordinates, dtype=torch.int32)
    # features are scaled by sqrt(2/3) (d + 1) before they are embedded isometrically
    squared = full.double().square().sum(dim=1) / (2 / 3 * axes**2)
    return Neighbourhood(full[:, :dimensions].contiguous(), torch.tensor(mirrored), squared)
