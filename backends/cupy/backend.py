"""The operators by the kernels that CuPy compiles."""

from __future__ import annotations

import importlib.util
from typing import ClassVar

import torch

from pacbench.capabilities import Capabilities, Reason
from pacbench.compiled.backend import CompiledBackend
from pacbench.compiled.ops import CompiledOps

from ..cuda import machine
from ..cuda.computing import Computing
from .modules import Modules

_OPS = CompiledOps("cupy", "pacbench_cupy", ("CUDA",), Computing(Modules(machine.current_stream)))


class CupyBackend(CompiledBackend):
    """CUDA C++ kernels through `cupy.RawModule`, on torch's current stream, on torch's memory, without copies.

    The kernels of a dtype are compiled when one of them is first launched; CuPy keeps them on disk. CuPy compiles so
    that denormal float32 numbers count as 0. 16-bit tensors are computed in float32 and rounded once. A second
    derivative raises a NotSupportedError, when it is taken.
    """

    name: ClassVar[str] = "cupy"
    summary: ClassVar[str] = "the kernels of `cuda_ext` compiled at run time through CuPy: no compiler needed"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cuda",), dtypes=("float64", "float32", "float16", "bfloat16"), derivative_order=1
    )

    @property
    def ops(self) -> CompiledOps:
        """Of namespace `pacbench_cupy`."""
        return _OPS

    def unavailable_reasons(self) -> list[Reason]:
        """Torch, driver or GPU that is missing, and CuPy where it is not installed."""
        reasons = machine.missing()
        if importlib.util.find_spec("cupy") is None:
            extra = "cupy-cuda12x" if (torch.version.cuda or "").startswith("12.") else "cupy-cuda13x"
            reasons.append(Reason("the package cupy is not installed", f"pip install 'pacbench[{extra}]'"))
        return reasons
