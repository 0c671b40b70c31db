"""The operators by the kernels that nvcc compiled."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, ClassVar

import torch

from pacbench.capabilities import Capabilities, Reason
from pacbench.compiled.backend import CompiledBackend
from pacbench.compiled.ops import CompiledOps

from ..cuda import machine
from ..cuda.call import CallStruct
from ..cuda.computing import Computing
from ..cuda.library import CompiledLibrary
from . import build

if TYPE_CHECKING:
    from pacbench.resources import ResourceRecord

LIBRARY_VARIABLE = "PACBENCH_CUDA_LIBRARY"
"""Names another build of the library; read when the first kernel is launched."""

_MESSAGE_SIZE = 1024


class CudaExtLauncher:
    """Libraries, each found or compiled when the first kernel is launched on a GPU of its architecture."""

    def __init__(self) -> None:
        self._libraries: dict[int, CompiledLibrary] = {}
        self._making = Lock()

    def library(self, device: int) -> CompiledLibrary:
        """The library for a GPU, which need not be the current one, nor of its architecture.

        Raises:
            BuildError: it is not there and cannot be compiled.
            LibraryError: it does not load.
        """
        found = self._libraries.get(device)
        if found is not None:
            return found
        with self._making:  # autograd's threads come here at once
            if device not in self._libraries:
                self._libraries[device] = CompiledLibrary(self._path(device), machine.current_stream)
        return self._libraries[device]

    def _path(self, device: int) -> Path:
        named = os.environ.get(LIBRARY_VARIABLE)
        if named:
            return Path(named)
        major, minor = torch.cuda.get_device_capability(device)
        return build.on_first_use(f"{major}{minor}")

    def launch(
        self, kernel: str, blocks: int, block: tuple[int, int], shared: int, described: CallStruct, device: int
    ) -> None:
        """See `pacbench.backends.cuda.launching.Launcher`."""
        self.library(device).launch(kernel, blocks, block, shared, described, device)


_OPS = CompiledOps("cuda_ext", "pacbench_cuda_ext", ("CUDA",), Computing(CudaExtLauncher()))


class CudaExtBackend(CompiledBackend):
    """CUDA C++ kernels on torch's current stream and device.

    The library is compiled when the first kernel is launched, for the GPU that is there, unless the installation
    carries one. 16-bit tensors are computed in float32 and rounded once. A second derivative raises a
    NotSupportedError, when it is taken.
    """

    name: ClassVar[str] = "cuda_ext"
    summary: ClassVar[str] = "CUDA C++ kernels, compiled by nvcc when they are first used"
    capabilities: ClassVar[Capabilities] = Capabilities(
        devices=("cuda",), dtypes=("float64", "float32", "float16", "bfloat16"), derivative_order=1
    )

    @property
    def ops(self) -> CompiledOps:
        """Of namespace `pacbench_cuda_ext`."""
        return _OPS

    def unavailable_reasons(self) -> list[Reason]:
        """Torch, driver or GPU that is missing, and a CUDA toolkit where there is no library yet."""
        reasons = machine.missing()
        named = os.environ.get(LIBRARY_VARIABLE)
        if named and not Path(named).is_file():
            reasons.append(Reason(f"{LIBRARY_VARIABLE}: got {named}, which is no file", "correct or unset it"))
        elif not named and build.built() is None:
            try:
                build.find_nvcc()
            except build.BuildError as error:
                mend = "install a CUDA toolkit (it brings nvcc), or use the backend cupy, which needs none"
                reasons.append(Reason(str(error), mend))
        return reasons

    def resource_budget_file(self) -> Path:
        """`resource_budget.json` beside this file."""
        return Path(__file__).with_name("resource_budget.json")

    def compiled_resources(self, targets: Sequence[str] | None = None) -> tuple[str, list[ResourceRecord]]:
        """Compiled by nvcc for each target, warnings being errors; see `machine_code.py`."""
        from . import machine_code

        return machine_code.records(targets)


def devices(library: CompiledLibrary) -> tuple[int, str]:
    """How many GPUs a library sees, and where it sees none because of an error, the error's text (then -1)."""
    count = library.handle.pacbench_cuda_devices
    count.argtypes, count.restype = (ctypes.c_char_p, ctypes.c_longlong), ctypes.c_int
    message = ctypes.create_string_buffer(_MESSAGE_SIZE)
    found = int(count(message, _MESSAGE_SIZE))
    return found, message.value.decode(errors="replace")
