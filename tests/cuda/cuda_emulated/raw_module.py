"""A stand-in for CuPy, as far as the backend uses it: kernels run on the shim.

It finds kernels by the name expressions that NVRTC would be given, checks the size of every argument against the
kernel's real parameters, and that a launch happens with the device and the stream that were asked for.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from pacbench.backends.cuda import sources
from pacbench.backends.cuda.call import CallStruct
from pacbench.backends.cuda.library import CompiledLibrary

entered: list[tuple[str, tuple[int, ...]]] = []
"""The contexts that the running launch lies in, from the outside to the inside."""

launches: list[tuple[str, int, int]] = []
"""Every launch: the kernel, the stream's integer, the shared memory."""


class _Context:
    kind = ""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def __enter__(self) -> None:
        entered.append((self.kind, self.numbers))

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert entered.pop() == (self.kind, self.numbers)


class _Device(_Context):
    kind = "device"


class _Stream(_Context):
    kind = "stream"

    @classmethod
    def from_external(cls, stream: Any) -> _Stream:
        version, handle = stream.__cuda_stream__()
        assert version == 0
        return cls(handle)


class _Function:
    def __init__(self, library: CompiledLibrary, kernel: str) -> None:
        self.library, self.kernel = library, kernel
        self.max_dynamic_shared_size_bytes = 48 * 1024

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        assert len(grid) == len(block) == 3
        assert grid[1:] == (1, 1)
        assert block[2] == 1
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        (device_kind, (device,)), (stream_kind, (stream,)) = entered
        assert (device_kind, stream_kind) == ("device", "stream")
        size = self.library.handle.pacbench_cuda_parameter_size
        number = self.library.kernels[self.kernel]
        for index, argument in enumerate(arguments):
            # CuPy passes an array of one item by value, and refuses longer ones.
            assert isinstance(argument, np.ndarray)
            assert argument.size == 1
            expected = size(number, index)
            if argument.nbytes != expected:
                raise TypeError(f"{self.kernel}: argument {index} has {argument.nbytes} bytes, expected {expected}")
        if size(number, len(arguments)) != -1:
            raise TypeError(f"{self.kernel}: got {len(arguments)} arguments, expected more")
        launches.append((self.kernel, stream, shared_mem))
        described = CallStruct.from_buffer_copy(arguments[0].tobytes())
        self.library.launch(self.kernel, grid[0], (block[0], block[1]), shared_mem, described, device)


def stand_in(library: CompiledLibrary) -> ModuleType:
    """A module to be put in the place of `cupy`."""
    library.handle.pacbench_cuda_parameter_size.argtypes = (ctypes.c_int, ctypes.c_int)

    class RawModule:
        def __init__(
            self, *, code: str, options: tuple[str, ...], name_expressions: Sequence[str], backend: str
        ) -> None:
            assert code == sources.inlined()
            assert options == ("-std=c++17",)
            assert backend == "nvrtc"
            unknown = [name for name in name_expressions if name not in library.kernels]
            if unknown:
                raise KeyError(f"no such kernels: {', '.join(unknown)}")
            self.names = tuple(name_expressions)

        def get_function(self, name: str) -> _Function:
            if name not in self.names:
                raise KeyError(f"{name} is none of the name expressions")
            return _Function(library, name)

    module = ModuleType("cupy")
    cuda = ModuleType("cupy.cuda")
    cuda.Device, cuda.Stream = _Device, _Stream  # type: ignore[attr-defined]
    module.RawModule, module.cuda = RawModule, cuda  # type: ignore[attr-defined]
    return module
