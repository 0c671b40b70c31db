"""A compiled library of the kernels by its C interface (`kernels/entry.cu`), for a GPU or for the shim."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

from .call import CallStruct

_MESSAGE_SIZE = 1024


class LibraryError(RuntimeError):
    """The file is not a library of these kernels."""


class CompiledLibrary:
    """Launches kernels of a library.

    Attributes:
        path: The file.
        kernels: Numbers of its kernels by name expression.
    """

    def __init__(self, path: Path, current_stream: Callable[[int], int]) -> None:
        """Load a library.

        Args:
            path: The file.
            current_stream: Torch's current stream of a device, as an integer.

        Raises:
            LibraryError: it does not load, or is of another version.
        """
        self.path = path
        self._current_stream = current_stream
        try:
            self.handle = ctypes.CDLL(str(path))
            size, name = self.handle.pacbench_cuda_call_size, self.handle.pacbench_cuda_kernel_name
            self._launch = self.handle.pacbench_cuda_launch
        except (OSError, AttributeError) as error:
            raise LibraryError(f"{path} does not load: {error}") from error
        size.argtypes, size.restype = (), ctypes.c_longlong
        if size() != ctypes.sizeof(CallStruct):
            raise LibraryError(
                f"{path} is of another version: its calls have {size()} bytes, expected {ctypes.sizeof(CallStruct)}"
            )
        name.argtypes, name.restype = (ctypes.c_int,), ctypes.c_char_p
        self.kernels: dict[str, int] = {}
        while found := name(len(self.kernels)):
            self.kernels[found.decode()] = len(self.kernels)
        self._launch.argtypes = (
            *(ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.POINTER(CallStruct)),
            *(ctypes.c_longlong, ctypes.c_int, ctypes.c_char_p, ctypes.c_longlong),
        )
        self._launch.restype = ctypes.c_int

    def launch(
        self, kernel: str, blocks: int, block: tuple[int, int], shared: int, described: CallStruct, device: int
    ) -> None:
        """Queue a kernel on torch's current stream of a device; see `launching.Launcher`."""
        message = ctypes.create_string_buffer(_MESSAGE_SIZE)
        stream = self._current_stream(device)
        number = self.kernels[kernel]
        if self._launch(number, blocks, *block, shared, described, stream, device, message, _MESSAGE_SIZE):
            raise RuntimeError(f"CUDA kernels: {message.value.decode(errors='replace')}")
