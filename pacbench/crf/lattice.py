"""Filtering on the permutohedral lattice, differentiable to what is filtered.

Source: Adams, Baek & Davis, *Fast High-Dimensional Filtering Using the Permutohedral Lattice*, Eurographics 2010;
conventions of Krähenbühl & Koltun's code (NIPS 2011): features divided by their standard deviations, [1/2 1 1/2] along
each of d + 1 axes, over 1 + 2^-d. Learned filters: Jampani, Kiefel & Gehler, CVPR 2016. The computation is the native
backend's (C++, CPU, float32 and float64).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from pacbench.backend import Backend
from pacbench.errors import UnavailableError
from pacbench.lattice import BuiltLattice, LatticeKernels, Simplices
from pacbench.registry import get_backend

_Map = Callable[[Tensor], Tensor]

BACKEND = "native"
"""The backend that computes the lattice unless another is named, found through the registry like any other."""


def lattice_unavailable_reasons(backend: str | Backend | None = None) -> list[str]:
    """Why a backend, by default `native`, has no lattice here, with the mend; empty where it has one."""
    try:
        get_backend(backend or BACKEND).lattice_kernels()
    except UnavailableError as error:
        return [str(error)]
    return []


class PermutohedralLattice:
    """The lattice of one image's features.

    Args:
        features: (d, H, W) or (d, pixels), each feature divided by the standard deviation of its Gaussian; d is 1 to
            16. float64 is computed as it is, any other type in float32; no gradient reaches them.
        backend: name of a backend that has a lattice, or a Backend; None is `native`.

    Raises:
        ValueError: a shape that does not fit, or features that are not finite or beyond a million deviations.
        UnavailableError: there is no compiled lattice here; the message says how to mend it.
    """

    def __init__(self, features: Tensor, backend: str | Backend | None = None) -> None:
        if features.dim() not in (2, 3) or not features.is_floating_point():
            raise ValueError(
                f"PermutohedralLattice: features are {tuple(features.shape)} of {features.dtype}, expected (d, H, W) "
                "or (d, pixels) of a floating type"
            )
        self.dtype = features.dtype if features.dtype is torch.float64 else torch.float32
        self.kernels: LatticeKernels = get_backend(backend or BACKEND).lattice_kernels()
        dense = features.detach().flatten(1).to("cpu", self.dtype).contiguous()
        try:
            self.built: BuiltLattice = self.kernels.build(dense)
        except ValueError as error:
            raise ValueError(f"PermutohedralLattice: {error}") from error

    @property
    def dimensions(self) -> int:
        """How many features a pixel has, d."""
        return self.built.dimensions

    @property
    def pixels(self) -> int:
        """How many pixels there are."""
        return self.built.pixels

    @property
    def points(self) -> int:
        """How many lattice points the pixels touch."""
        return self.built.points

    @cached_property
    def simplices(self) -> Simplices:
        """Keys of the points; vertices and barycentric weights of the pixels."""
        return self.kernels.simplices(self.built)

    @cached_property
    def normalisation(self) -> Tensor:
        """(pixels): 1 / sqrt of what the filter makes of ones, to multiply by before and after filtering."""
        return self.kernels.normalisation(self.built)

    def rows(self, values: Tensor) -> Tensor:
        """(C, pixels) or (C, H, W) as rows (pixels, row), which the methods below take; row is C rounded up."""
        flat = values.flatten(1)
        if flat.shape[1] != self.pixels:
            raise ValueError(
                f"PermutohedralLattice: values are {tuple(values.shape)}, expected {self.pixels} pixels of each channel"
            )
        row = self.kernels.row(flat.shape[0], self.dtype)
        return F.pad(flat.to(self.dtype).t(), (0, row - flat.shape[0])).contiguous()

    def splat(self, rows: Tensor, scale: Tensor | None = None) -> Tensor:
        """Values (points + 1, row), the last row zero, from rows (pixels, row) times scale (pixels)."""
        return _linear(rows, partial(self._splat, scale=scale), partial(self._slice, scale=scale))

    def blur(self, values: Tensor, *, reverse: bool = False) -> Tensor:
        """The Gaussian blur of values (points + 1, row); with its axes in reverse order it is the adjoint."""
        return _linear(values, partial(self._blur, reverse=reverse), partial(self._blur, reverse=not reverse))

    def slice(self, values: Tensor, scale: Tensor | None = None) -> Tensor:
        """Rows (pixels, row) times scale (pixels) from values (points + 1, row)."""
        return _linear(values, partial(self._slice, scale=scale), partial(self._splat, scale=scale))

    def _splat(self, rows: Tensor, scale: Tensor | None) -> Tensor:
        return self.kernels.splat(self.built, rows, scale)

    def _blur(self, values: Tensor, reverse: bool) -> Tensor:
        return self.kernels.blur(self.built, values, reverse)

    def _slice(self, values: Tensor, scale: Tensor | None) -> Tensor:
        return self.kernels.slice(self.built, values, scale)

    def neighbours(self, offsets: Tensor) -> Tensor:
        """(points, taps) int32 for offsets (taps, d) between keys: where `convolve` finds each tap."""
        if offsets.dim() != 2 or offsets.shape[1] != self.dimensions:
            raise ValueError(
                f"PermutohedralLattice: offsets are {tuple(offsets.shape)}, expected (taps, {self.dimensions})"
            )
        return self.kernels.neighbours(self.built, offsets)

    def convolve(self, values: Tensor, weight: Tensor, table: Tensor, mirrored: Tensor) -> Tensor:
        """A filter on the lattice, one for each channel.

        Args:
            values: (points + 1, row).
            weight: (taps, row), zero beyond the channels.
            table: (points, taps), what `neighbours` gave for the filter's offsets.
            mirrored: (taps), for each tap the index of the one with the opposite offset.

        Returns:
            (points + 1, row); the gradient goes to values and weight.
        """
        convolved: Tensor = _Convolve.apply(values, weight, self, table, mirrored)  # type: ignore[no-untyped-call]
        return convolved

    def filter_rows(self, rows: Tensor, scale: Tensor | None, *, reverse: bool = False) -> Tensor:
        """Splat, blur, slice of rows (pixels, row), multiplied by scale (pixels) before and after."""
        return self.slice(self.blur(self.splat(rows, scale), reverse=reverse), scale)

    def filter(self, values: Tensor, *, normalise: bool = False, reverse: bool = False) -> Tensor:
        """Splat, blur, slice: an approximate Gaussian filter over the features.

        Args:
            values: (C, H, W) or (C, pixels).
            normalise: multiply by `normalisation` before and after.
            reverse: blur in reverse order: the adjoint.

        Returns:
            As `values`, in the lattice's dtype.
        """
        scale = self.normalisation if normalise else None
        rows = self.filter_rows(self.rows(values), scale, reverse=reverse)
        return rows[:, : values.shape[0]].t().reshape(values.shape)


def _linear(values: Tensor, apply: _Map, adjoint: _Map) -> Tensor:
    result: Tensor = _Linear.apply(values, apply, adjoint)  # type: ignore[no-untyped-call]
    return result


class _Linear(torch.autograd.Function):
    """A linear map, whose derivative is its adjoint."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, apply: _Map, adjoint: _Map) -> Tensor:
        ctx.adjoint = adjoint
        return apply(values.contiguous())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.adjoint(grad.contiguous()), None, None


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, lattice: PermutohedralLattice, table: Tensor, mirrored: Tensor
    ) -> Tensor:
        dense = values.contiguous()
        ctx.lattice, ctx.table, ctx.mirrored = lattice, table, mirrored
        ctx.save_for_backward(dense, weight)
        return lattice.kernels.convolve(lattice.built, dense, weight.contiguous(), table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        values, weight = ctx.saved_tensors
        kernels, built = ctx.lattice.kernels, ctx.lattice.built
        dense = grad.clone(memory_format=torch.contiguous_format)
        dense[-1] = 0  # the row that is not there
        to_values = to_weight = None
        if ctx.needs_input_grad[0]:
            to_values = kernels.convolve(built, dense, weight[ctx.mirrored].contiguous(), ctx.table)
        if ctx.needs_input_grad[1]:
            to_weight = kernels.weight_gradient(built, values, dense, ctx.table)
        return to_values, to_weight, None, None, None
