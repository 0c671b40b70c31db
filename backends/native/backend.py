"""The operators by the native library."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pacbench.capabilities import Capabilities, Reason
from pacbench.compiled.backend import CompiledBackend
from pacbench.compiled.ops import CompiledOps

from . import blurring, library
from .lattice import NativeLatticeKernels, lattice_kernels
from .ops import OPS

if TYPE_CHECKING:
    from torch import Tensor


class NativeBackend(CompiledBackend):
    """Fused C++ kernels: the adapting kernel is computed on the fly, the columns stay in the cache.

    The instruction set is chosen when the library loads (AVX-512, AVX2 or none in particular; see `library.py`), and
    torch's intra-op threads are used. Results are the same bits in every run *for a fixed number of threads*: each
    thread sums its own part of a weight's gradient. 16-bit tensors are computed in float32 and rounded once. A second
    derivative raises a NotSupportedError, when it is taken.
    """

    name: ClassVar[str] = "native"
    summary: ClassVar[str] = "fused C++ kernels (AVX-512, AVX2, portable); the default on CPUs"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cpu",),
        dtypes=("float64", "float32", "float16", "bfloat16"),
        derivative_order=1,
        priority={"cpu": 10},
    )

    @property
    def ops(self) -> CompiledOps:
        """Of namespace `pacbench_native`."""
        return OPS

    def unavailable_reasons(self) -> list[Reason]:
        """Why there is no library to compute with here: not built, not loadable, an instruction set missing."""
        return library.missing()

    def lattice_kernels(self) -> NativeLatticeKernels:
        """The permutohedral lattice of the library."""
        return lattice_kernels()

    def add_blurred(self, base: Tensor, message: Tensor, factor: int) -> Tensor:
        """See `Backend`; in one pass where no gradient is wanted."""
        if blurring.fuses(base, message):
            output: Tensor = blurring.add_blurred(base, message, factor)
            return output
        return super().add_blurred(base, message, factor)

    def blurred_beliefs(self, base: Tensor, message: Tensor, factor: int) -> Tensor:
        """See `Backend`; in one pass where no gradient is wanted."""
        if blurring.fuses(base, message):
            beliefs: Tensor = blurring.blurred_beliefs(base, message, factor)
            return beliefs
        return super().blurred_beliefs(base, message, factor)
