"""The kernels of `cuda_ext` and `cupy` on a CPU: the same source, the same launches."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from pacbench.backends.cuda.call import CallStruct
from pacbench.backends.cuda.computing import Computing
from pacbench.backends.cuda.library import CompiledLibrary
from pacbench.backends.native.build import BuildError
from pacbench.capabilities import Capabilities, Reason
from pacbench.compiled.backend import CompiledBackend
from pacbench.compiled.ops import CompiledOps

from . import building


class _Launcher:
    """The library, built when the first kernel is launched."""

    @cached_property
    def library(self) -> CompiledLibrary:
        return CompiledLibrary(building.library(), current_stream=lambda device: 0)

    def launch(
        self, kernel: str, blocks: int, block: tuple[int, int], shared: int, described: CallStruct, device: int
    ) -> None:
        self.library.launch(kernel, blocks, block, shared, described, device)


_OPS = CompiledOps("cuda_emulated", "pacbench_cuda_emulated", ("CPU",), Computing(_Launcher()))


class CudaEmulatedBackend(CompiledBackend):
    """Every thread of a block a fiber; for tests."""

    name: ClassVar[str] = "cuda_emulated"
    summary: ClassVar[str] = "the CUDA kernels on a CPU, for tests"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cpu",), dtypes=("float64", "float32", "float16", "bfloat16")
    )
    emulated = True

    @property
    def ops(self) -> CompiledOps:
        """Of namespace `pacbench_cuda_emulated`."""
        return _OPS

    def unavailable_reasons(self) -> list[Reason]:
        """A C++ compiler that is missing or fails."""
        try:
            building.library()
        except BuildError as error:
            return [Reason(str(error), "install a C++ compiler, such as the package g++")]
        return []
