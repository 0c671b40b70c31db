"""The permutohedral lattice by the native library: calls of `kernels/lattice.h` with torch tensors."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pacbench.errors import UnavailableError
from pacbench.lattice import BuiltLattice, LatticeKernels, Simplices

from . import library

_INTEGERS = "dimensions pixels points row threads reverse taps classes steps kernels softmax"
_POINTERS = (
    "lattice features scale input gradient weight offsets table output keys vertices barycentric lattices scales "
    "kernel_weights compatibility beliefs"
)
MOST_DIMENSIONS = 16
MOST_KERNELS = 8


class LatticeCall(ctypes.Structure):
    """The struct of that name in `kernels/lattice.h`; a field that is not given is 0, or no tensor."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS.split()),
        ("unary_weight", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _POINTERS.split()),
    )


class NativeLattice:
    """A lattice in the library's memory, freed with this object."""

    def __init__(self, kernels: NativeLatticeKernels, call: LatticeCall, dtype: torch.dtype) -> None:
        self.dimensions = int(call.dimensions)
        self.pixels = int(call.pixels)
        self.points = int(call.points)
        self.dtype = dtype
        self.handle = call.lattice
        weakref.finalize(self, kernels.run, "free", dtype, lattice=self.handle).atexit = False


class NativeLatticeKernels(LatticeKernels):
    """The library's lattice functions, for the instruction set that serves calls when this is made."""

    def __init__(self, found: library.Library) -> None:
        found.expect_size(LatticeCall, "pacbench_native_lattice_call_size")
        self._library = found
        self._isa = "avx2" if found.isa == "avx512" else found.isa
        self._lanes = {dtype: self._lanes_of(name) for dtype, name in library.SCALARS.items()}

    def run(self, operation: str, dtype: torch.dtype, **fields: Any) -> LatticeCall:
        """Compute a call, whose tensors are of that dtype; a tensor stands for its data.

        Raises:
            RuntimeError: the kernels could not (memory).
            ValueError: features that no lattice can be built from.
        """
        pointers = {name: given.data_ptr() if isinstance(given, Tensor) else given for name, given in fields.items()}
        call = LatticeCall(threads=library.threads(), **pointers)
        self._library.run(f"lattice_{operation}", dtype, call, self._isa)
        return call

    def _lanes_of(self, scalar: str) -> int:
        return self._library.bound(f"pacbench_native_lattice_lanes_{scalar}_{self._isa}", ctypes.c_int64)()

    def row(self, channels: int, dtype: torch.dtype) -> int:
        """See `LatticeKernels`."""
        lanes = self._lanes[dtype]
        return 1 if channels == 1 else -(-channels // lanes) * lanes

    def build(self, features: Tensor) -> NativeLattice:
        """See `LatticeKernels`."""
        dimensions, pixels = features.shape
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise ValueError(f"got {dimensions} features, expected 1 to {MOST_DIMENSIONS}")
        call = self.run("build", features.dtype, features=features, dimensions=dimensions, pixels=pixels)
        return NativeLattice(self, call, features.dtype)

    def simplices(self, lattice: BuiltLattice) -> Simplices:
        """See `LatticeKernels`."""
        corners = lattice.dimensions + 1
        keys = torch.empty(lattice.points, lattice.dimensions, dtype=torch.int32)
        vertices = torch.empty(lattice.pixels, corners, dtype=torch.int32)
        barycentric = torch.empty(lattice.pixels, corners, dtype=lattice.dtype)
        self._on("describe", lattice, keys=keys, vertices=vertices, barycentric=barycentric)
        return Simplices(keys, vertices, barycentric)

    def normalisation(self, lattice: BuiltLattice) -> Tensor:
        """See `LatticeKernels`."""
        output = torch.empty(lattice.pixels, dtype=lattice.dtype)
        self._on("normalisation", lattice, output=output)
        return output

    def splat(self, lattice: BuiltLattice, rows: Tensor, scale: Tensor | None) -> Tensor:
        """See `LatticeKernels`."""
        output = rows.new_empty(lattice.points + 1, rows.shape[1])
        self._on("splat", lattice, input=rows, scale=scale, row=rows.shape[1], output=output)
        return output

    def blur(self, lattice: BuiltLattice, values: Tensor, reverse: bool) -> Tensor:
        """See `LatticeKernels`."""
        output = values.clone()
        self._on("blur", lattice, row=values.shape[1], reverse=int(reverse), output=output)
        return output

    def slice(self, lattice: BuiltLattice, values: Tensor, scale: Tensor | None) -> Tensor:
        """See `LatticeKernels`."""
        output = values.new_empty(lattice.pixels, values.shape[1])
        self._on("slice", lattice, input=values, scale=scale, row=values.shape[1], output=output)
        return output

    def neighbours(self, lattice: BuiltLattice, offsets: Tensor) -> Tensor:
        """See `LatticeKernels`."""
        table = torch.empty(lattice.points, offsets.shape[0], dtype=torch.int32)
        dense = offsets.to(torch.int32).contiguous()
        self._on("neighbours", lattice, offsets=dense, taps=offsets.shape[0], table=table)
        return table

    def convolve(self, lattice: BuiltLattice, values: Tensor, weight: Tensor, table: Tensor) -> Tensor:
        """See `LatticeKernels`."""
        output = torch.empty_like(values)
        taps, row = weight.shape
        self._on("convolve", lattice, input=values, weight=weight, table=table, taps=taps, row=row, output=output)
        return output

    def weight_gradient(self, lattice: BuiltLattice, values: Tensor, gradient: Tensor, table: Tensor) -> Tensor:
        """See `LatticeKernels`."""
        taps, row = table.shape[1], values.shape[1]
        output = values.new_empty(taps, row)
        self._on(
            "weight_gradient", lattice,
            input=values, gradient=gradient, table=table, taps=taps, row=row, output=output,
        )  # fmt: skip
        return output

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
        """See `LatticeKernels`."""
        classes, pixels = unary.shape
        count = len(lattices)
        if count > MOST_KERNELS:
            raise ValueError(f"got {count} kernels, expected {MOST_KERNELS} at most")
        # a row of one scalar has no softmax: it takes a whole vector here
        row = self.row(max(classes, 2), unary.dtype)
        output = torch.empty_like(unary)
        beliefs = unary.new_empty(steps, pixels, row) if keep_beliefs else None
        by_source = None
        if compatibility is not None:
            by_source = unary.new_zeros(classes, row)
            by_source[:, :classes] = compatibility.t()
        handles = (ctypes.c_void_p * count)(*(_handle(lattice) for lattice in lattices))
        scale_pointers = (ctypes.c_void_p * count)(*(scale.data_ptr() for scale in scales))
        weights = (ctypes.c_double * count)(*kernel_weights)
        self.run(
            "mean_field", unary.dtype,
            pixels=pixels, row=row, classes=classes, steps=steps, kernels=count, softmax=int(softmax),
            unary_weight=unary_weight, input=unary, output=output, beliefs=beliefs, compatibility=by_source,
            lattices=ctypes.addressof(handles), scales=ctypes.addressof(scale_pointers),
            kernel_weights=ctypes.addressof(weights),
        )  # fmt: skip
        return output, beliefs

    def _on(self, operation: str, lattice: BuiltLattice, **fields: Any) -> None:
        self.run(operation, lattice.dtype, lattice=_handle(lattice), **fields)


def _handle(lattice: BuiltLattice) -> int:
    if not isinstance(lattice, NativeLattice):
        raise TypeError(f"got a lattice of {type(lattice).__name__}, expected one that these kernels built")
    return int(lattice.handle)


def lattice_kernels() -> NativeLatticeKernels:
    """The kernels of the library that serves calls now.

    Raises:
        UnavailableError: there is no library here, or it is of another version; the message has the mend.
    """
    try:
        found = library.current()
    except library.Unusable as unusable:
        raise UnavailableError(f"permutohedral lattice: backend native cannot run here: {unusable}") from unusable
    try:
        return _kernels_of(found)
    except AttributeError as error:
        raise UnavailableError(
            f"permutohedral lattice: {found.path} lacks {error}; to mend it: build it again by {library.REBUILD}"
        ) from error


_made: weakref.WeakKeyDictionary[library.Library, NativeLatticeKernels] = weakref.WeakKeyDictionary()


def _kernels_of(found: library.Library) -> NativeLatticeKernels:
    if found not in _made:
        _made[found] = NativeLatticeKernels(found)
    return _made[found]
