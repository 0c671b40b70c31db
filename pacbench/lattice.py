"""What a backend that computes the permutohedral lattice offers: the contract between `pacbench.crf` and its kernels.

The lattice (Adams, Baek & Davis, *Fast High-Dimensional Filtering Using the Permutohedral Lattice*, Eurographics 2010)
approximates Gaussian filtering over d features: values of pixels are splatted onto the corners of the simplices that
enclose their features, blurred there, and sliced back.

"Rows" are what kernels compute with: (count, row) with the channels of a pixel or a lattice point side by side, in the
first entries, and zeros beyond them. Values of a lattice have points + 1 rows, the last of which is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class BuiltLattice(Protocol):
    """A lattice of some pixels' features, in one dtype."""

    @property
    def dimensions(self) -> int:
        """How many features a pixel has, d."""

    @property
    def pixels(self) -> int:
        """How many pixels it was built from."""

    @property
    def points(self) -> int:
        """How many lattice points they touch."""

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights, and of the values that it filters."""


@dataclass(frozen=True)
class Simplices:
    """Where the pixels of a lattice lie.

    Attributes:
        keys: (points, d) int32, coordinates of the lattice points but for the last one, which is minus their sum.
        vertices: (pixels, d + 1) int32, the points at the corners of each pixel's simplex.
        barycentric: (pixels, d + 1), their weights.
    """

    keys: Tensor
    vertices: Tensor
    barycentric: Tensor


class LatticeKernels(Protocol):
    """The operations. Tensors are contiguous CPU tensors of the lattice's dtype; nothing here is differentiable."""

    def row(self, channels: int, dtype: torch.dtype) -> int:
        """Length of a row of so many channels."""

    def build(self, features: Tensor) -> BuiltLattice:
        """The lattice of features (d, pixels), each divided by its standard deviation; float32 or float64."""

    def simplices(self, lattice: BuiltLattice) -> Simplices:
        """Where the pixels lie."""

    def normalisation(self, lattice: BuiltLattice) -> Tensor:
        """(pixels): 1 / sqrt of what splat, blur and slice make of ones."""

    def splat(self, lattice: BuiltLattice, rows: Tensor, scale: Tensor | None) -> Tensor:
        """Values (points + 1, row) from rows (pixels, row), each multiplied by its scale (pixels)."""

    def blur(self, lattice: BuiltLattice, values: Tensor, reverse: bool) -> Tensor:
        """Values blurred by [1/2 1 1/2] along each of d + 1 axes, over 1 + 2^-d; in reverse order: the adjoint."""

    def slice(self, lattice: BuiltLattice, values: Tensor, scale: Tensor | None) -> Tensor:
        """Rows (pixels, row) from values, each multiplied by its scale: the adjoint of splat."""

    def neighbours(self, lattice: BuiltLattice, offsets: Tensor) -> Tensor:
        """(points, taps) int32: the row of the point at each key + offset; `points` where there is none."""

    def convolve(self, lattice: BuiltLattice, values: Tensor, weight: Tensor, table: Tensor) -> Tensor:
        """Values: Σ_t weight[t] · values[table[i, t]], with weight (taps, row)."""

    def weight_gradient(self, lattice: BuiltLattice, values: Tensor, gradient: Tensor, table: Tensor) -> Tensor:
        """(taps, row): the gradient of `convolve` to its weight, from that to its result."""

    def mean_field(
        self,
        lattices: Sequence[BuiltLattice],
        scales: Sequence[Tensor],
        unary: Tensor,
        unary_weight: float,
        kernel_weights: Sequence[float],
        compatibility: Tensor | None,
        steps: int,
        *,
        softmax: bool = False,
        keep_beliefs: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Mean field from softmax(unary_weight · unary), all lattices having the same pixels.

        A step is unary_weight · unary - μ Σ_k weight_k · filter_k(softmax of the step before), each filter normalised
        by its scale before and after.

        Args:
            lattices: of each kernel.
            scales: (pixels) of each kernel.
            unary: (classes, pixels) logits.
            unary_weight: of the unary.
            kernel_weights: of each kernel.
            compatibility: μ, (classes, classes); None is Potts, as minus the identity.
            steps: how many.
            softmax: give probabilities rather than logits.
            keep_beliefs: give what each step filtered too.

        Returns:
            (classes, pixels), and the beliefs (steps, pixels, row) or None.
        """
