"""The kernels as CuPy modules, one a stored type and device, compiled by NVRTC when first needed and cached by CuPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..cuda import call, instances, sources
from ..cuda.call import CallStruct
from ..cuda.launching import MOST_SHARED_UNASKED

OPTIONS = ("-std=c++17",)


@cache
def part_of(kernel: str) -> str:
    """The part that an instance belongs to, by its name expression."""
    return next(part for part in instances.PARTS if kernel in instances.of_part(part))


@dataclass(frozen=True)
class _TorchStream:
    """A stream by its handle, in the form that CuPy takes since version 14: the CUDA stream protocol."""

    handle: int

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.handle


def stream_of(cupy: Any, handle: int, device: int) -> Any:
    """CuPy's stream of a handle. CuPy 14 deprecates the constructor that 13 has."""
    if hasattr(cupy.cuda.Stream, "from_external"):
        return cupy.cuda.Stream.from_external(_TorchStream(handle))
    return cupy.cuda.ExternalStream(handle, device)


class Modules:
    """Launches kernels through `cupy.RawModule`.

    CuPy is imported when the first kernel is launched: its import takes a while, and it may not be there.
    """

    def __init__(self, current_stream: Callable[[int], int]) -> None:
        """Args: current_stream: torch's current stream of a device, as an integer."""
        self._current_stream = current_stream
        self._functions: dict[tuple[int, str], Any] = {}
        self._modules: dict[tuple[int, str], Any] = {}

    def launch(
        self, kernel: str, blocks: int, block: tuple[int, int], shared: int, described: CallStruct, device: int
    ) -> None:
        """Queue a kernel; see `pacbench.backends.cuda.launching.Launcher`. The current device is left as it was."""
        import cupy

        with cupy.cuda.Device(device), stream_of(cupy, self._current_stream(device), device):
            function = self._functions.get((device, kernel)) or self._function(cupy, kernel, device)
            if shared > MOST_SHARED_UNASKED:
                function.max_dynamic_shared_size_bytes = shared
            # An array of one struct is passed by value.
            argument = np.frombuffer(bytes(described), dtype=call.CALL_DTYPE)
            function((blocks, 1, 1), (*block, 1), (argument,), shared_mem=shared)

    def _function(self, cupy: Any, kernel: str, device: int) -> Any:
        part = part_of(kernel)
        if (device, part) not in self._modules:
            self._modules[device, part] = cupy.RawModule(
                code=sources.inlined(), options=OPTIONS, name_expressions=instances.of_part(part), backend="nvrtc"
            )
        function = self._modules[device, part].get_function(kernel)
        self._functions[device, kernel] = function
        return function
