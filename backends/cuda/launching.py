"""Launches: which kernel, how many blocks, with which fields of the call.

The same decisions serve the compiled library, CuPy and the shim; each gives a `Launcher`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pacbench.compiled.storage import wide_dtype

from . import call, instances

THREADS = 128
"""Of every block; `kernels/platform.cuh` has the same number."""

BLOCK = (32, 4)
"""Threads along x and y: a warp works at 32 neighbours, whose reads and writes are coalesced."""

MOST_SHARED_UNASKED = 48 * 1024
"""Bytes of dynamic shared memory that a kernel may have without being allowed more."""

MOST_BLOCKS = 2**31 - 1
"""Of a grid, along x."""

Tensors = Mapping[str, Tensor | None]


class Launcher(Protocol):
    """Runs kernels on a device."""

    def launch(
        self, kernel: str, blocks: int, block: tuple[int, int], shared: int, described: call.CallStruct, device: int
    ) -> None:
        """Queue a kernel, named by its name expression, on torch's current stream of a device.

        Raises:
            RuntimeError: it could not be launched; the runtime's message.
        """


@dataclass(frozen=True)
class Launches:
    """The launches of one operator's call, whose kernels share most tensors and sizes.

    Attributes:
        launcher: What runs them.
        stored: Dtype of input, weight, bias and output.
        tensors: Fields of the call that are tensors, dense.
        sizes: Fields of the call that are integers.
    """

    launcher: Launcher
    stored: torch.dtype
    tensors: Tensors
    sizes: Mapping[str, int]

    @property
    def wide(self) -> torch.dtype:
        """What is computed in."""
        return wide_dtype(self.stored)

    def given(self, name: str) -> Tensor:
        """A tensor that the call must have."""
        tensor = self.tensors[name]
        if tensor is None:
            raise ValueError(f"CUDA kernels: got no {name}, expected a tensor")
        return tensor

    def but(self, tensors: Tensors | None = None, **sizes: int) -> Launches:
        """The same with some tensors and sizes replaced or added."""
        return Launches(self.launcher, self.stored, {**self.tensors, **(tensors or {})}, {**self.sizes, **sizes})

    def run(
        self, kernel: str, blocks: int, target: Tensor, *channels: int, of_wide: bool = False, shared: int = 0
    ) -> None:
        """Launch a kernel that writes `target`; nothing where there is no work.

        Args:
            kernel: Its name; the type and `channels` are its template's arguments.
            blocks: Of the grid.
            target: Dense.
            *channels: What else the template takes.
            of_wide: Whether the kernel is an instance of the type that is computed in, not of the stored one.
            shared: Bytes of dynamic shared memory.

        Raises:
            ValueError: more blocks than a grid holds, or a size that the kernels do not index.
            RuntimeError: it could not be launched.
        """
        if not blocks:
            return
        if blocks > MOST_BLOCKS:
            raise ValueError(f"CUDA kernels: got {blocks} blocks of {kernel}, expected at most {MOST_BLOCKS}")
        name = instances.name(kernel, instances.STORED[self.wide if of_wide else self.stored], *channels)
        described = call.write({**self.tensors, "target": target}, self.sizes)
        self.launcher.launch(name, blocks, BLOCK, shared, described, target.get_device())


def tiles(size: tuple[int, int], step: tuple[int, int] = (1, 1)) -> int:
    """Blocks that cover an image, phase by phase of the pixels that lie a step apart."""
    (height, width), (step_h, step_w), (block_w, block_h) = size, step, BLOCK
    return step_h * step_w * ceil_div(ceil_div(width, step_w), block_w) * ceil_div(ceil_div(height, step_h), block_h)


def ceil_div(a: int, b: int) -> int:
    """A / b, rounded up."""
    return -(-a // b)
