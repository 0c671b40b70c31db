"""A launch of a kernel: its grid, its tile, its precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from .availability import interpreting
from .configurations import BY_PHASES, Tile, candidates, interpreted, widths_told
from .tuning import Key, chosen

_MODULES = {
    "gather_contraction": "contraction",
    "kernel_gradient": "kernel_gradient",
    "weight_gradient": "weight_gradient",
    "window_sums": "kernel_alone",
    "adapting_kernel": "kernel_alone",
    "centre_gradient": "guide_gradient",
    "tap_gradient": "guide_gradient",
    "gathered_sum": "gathered_sum",
    "sum_gradient": "sum_gradient",
}
"""The file of `kernels/` that holds each kernel."""

PRODUCTS = ("gather_contraction", "kernel_gradient", "weight_gradient")
"""Kernels made of matrix products; the others have one tile each."""

PROCESSORS: Mapping[str, int] = {"sm_80": 108, "sm_90": 132, "sm_100": 148, "gfx942": 304}
"""Multiprocessors of the GPU that launches are planned for: A100, H100, B200, MI300X."""

_INT32_LIMIT = 2**31 - 1
"""Elements of a tensor, whichever argument it is, past which offsets are 64 bits wide."""


@dataclass(frozen=True)
class PlannedLaunch:
    """A launch that was written down instead of made: everything that decides which machine code it would run."""

    kernel: str
    programs: int
    tile: Tile
    arguments: Mapping[str, Any]
    widths_told: bool


@dataclass(frozen=True)
class _Plan:
    target: str
    tf32: bool
    launches: list[PlannedLaunch]


_plan: ContextVar[_Plan | None] = ContextVar("pacbench_triton_plan", default=None)


@contextmanager
def planned(target: str, *, tf32: bool) -> Iterator[list[PlannedLaunch]]:
    """Write down the launches inside the block instead of making them. Calls run on meta tensors: no GPU is needed.

    Args:
        target: Architecture of the GPU that they are planned for.
        tf32: Whether float32 is multiplied in tf32.
    """
    plan = _Plan(target, tf32, [])
    token = _plan.set(plan)
    try:
        yield plan.launches
    finally:
        _plan.reset(token)


@cache
def kernel_named(name: str) -> Any:
    """A kernel by its name; the first use imports triton."""
    return getattr(import_module(f".kernels.{_MODULES[name]}", __package__), name)


@cache
def kernel_told_widths(name: str) -> Any:
    """The kernel of that name whose compiler is told which widths are multiples of 16."""
    from .kernels.device_function import told_widths

    return told_widths(kernel_named(name))


class Launch:
    """One launch, set up step by step: what it computes over, then the arguments."""

    def __init__(self, kernel: str, like: Tensor, accumulator: torch.dtype) -> None:
        self.kernel, self.like, self.accumulator = kernel, like, accumulator
        self.tiles = self.splits = self.programs = 0
        self._arguments: dict[str, Any] = {}
        self._tile = Tile(1, 1, 1, 1, 1)

    def over(
        self,
        size: Sequence[int],
        images: int,
        *,
        phases: tuple[int, int] = (1, 1),
        inner: int = 1,
        outer: int = 1,
        guide_channels: int = 1,
        blocks_of_guide: bool = False,
        blocks_of_channels: bool = False,
    ) -> Launch:
        """Cover the pixels of images of that size, phase by phase."""
        height, width = (-(-length // count) for length, count in zip(size, phases, strict=True))
        by_phases = BY_PHASES if phases != (1, 1) else ""
        tile = self._tile = self._chosen(height, width, inner, outer, guide_channels, self.kernel + by_phases)
        rows, columns = -(-height // tile.height), -(-width // tile.width)
        self.tiles = rows * columns
        self.programs = self.tiles * phases[0] * phases[1] * images
        self._arguments = {"tiles": self.tiles, "tile_columns": columns, "BH": tile.height, "BW": tile.width}
        if self.kernel == "gather_contraction":
            self._blocked("channel_blocks", outer, tile.outer)
            self._arguments |= {"BC": tile.inner, "BO": tile.outer, "PADDED": inner % tile.inner != 0}
        elif self.kernel == "kernel_gradient":
            self._arguments |= {"BN": tile.inner, "BF": tile.outer}
        elif blocks_of_channels:
            self._blocked("channel_blocks", inner, tile.inner)
            self._arguments["BC"] = tile.inner
        elif self.kernel == "sum_gradient":
            self._arguments["BC"] = tile.inner
        if self.kernel not in ("kernel_gradient", "sum_gradient"):
            self._arguments |= {"BG": tile.guide, "HOIST": guide_channels <= tile.guide}
        if blocks_of_guide:
            self._blocked("channel_blocks", guide_channels, tile.guide)
        return self

    def over_splits(
        self, size: Sequence[int], images: int, taps: int, *, near: int, far: int, guide_channels: int
    ) -> Launch:
        """Cover filters (taps, far, near); the pixels of all images are split into parts."""
        tile = self._tile = self._chosen(size[0], size[1], near, far, guide_channels, self.kernel)
        rows, columns = -(-size[0] // tile.height), -(-size[1] // tile.width)
        self.tiles = rows * columns
        all_tiles = self.tiles * images
        near_blocks, far_blocks = -(-near // tile.inner), -(-far // tile.outer)
        self.splits = max(1, min(all_tiles, _splits_wanted(self.like, taps * near_blocks * far_blocks)))
        self.programs = near_blocks * far_blocks * self.splits * taps
        self._arguments = {
            "tiles": self.tiles, "tile_columns": columns, "all_tiles": all_tiles, "splits": self.splits,
            "near_blocks": near_blocks, "far_blocks": far_blocks, "BH": tile.height, "BW": tile.width,
            "BN": tile.inner, "BF": tile.outer, "BG": tile.guide, "HOIST": guide_channels <= tile.guide,
        }  # fmt: skip
        return self

    def run(self, **arguments: Any) -> None:
        """Launch the kernel on the current stream of the tensors' device; an empty grid is no launch."""
        if self.programs == 0:
            return
        import triton.language as tl

        large = any(isinstance(value, Tensor) and value.numel() > _INT32_LIMIT for value in arguments.values())
        wide = large or (interpreting() and _plan.get() is None)
        arguments |= self._arguments
        arguments["ACC"] = tl.float64 if self.accumulator is torch.float64 else tl.float32
        arguments["IDX"] = tl.int64 if wide else tl.int32
        if self.kernel in PRODUCTS:
            arguments["PRECISION"] = precision(self.like.dtype)
        plan = _plan.get()
        told = widths_told(self.kernel, self._tile, self.like.element_size())
        if plan is not None:
            plan.launches.append(PlannedLaunch(self.kernel, self.programs, self._tile, arguments, told))
            return
        kernel = kernel_told_widths(self.kernel) if told and not interpreting() else kernel_named(self.kernel)
        with _device_of(self.like):
            kernel[(self.programs,)](
                **arguments,
                num_warps=self._tile.warps,
                num_stages=self._tile.stages,
                enable_fp_fusion=True,
            )

    def _blocked(self, name: str, channels: int, block: int) -> None:
        blocks = -(-channels // block)
        self._arguments[name] = blocks
        self.programs *= blocks

    def _chosen(self, height: int, width: int, inner: int, outer: int, guide_channels: int, kernel: str) -> Tile:
        plan = _plan.get()
        if plan is None and interpreting():
            return interpreted(height, width, inner, outer, guide_channels)
        target = None if plan is None else plan.target
        if self.kernel not in PRODUCTS:
            # The adapting kernel is computed once for all channels that a program holds.
            return candidates(kernel, "narrow", 4, inner, outer, guide_channels, target)[0]
        how = precision(self.like.dtype) if self.like.element_size() >= 4 else "narrow"
        tiles = candidates(kernel, how, self.like.element_size(), inner, outer, guide_channels, target)
        device = target or _device_name(self.like.device)
        return chosen(Key(device, self.kernel, how, inner, outer, guide_channels), tiles)


def precision(dtype: torch.dtype) -> str:
    """How float32 products are computed: as torch's matrix products are, ``ieee`` or ``tf32``.

    By `torch.backends.cuda.matmul.fp32_precision` (torch 2.9), which says too what the older `allow_tf32` and
    `torch.set_float32_matmul_precision` were set to; torch refuses to read the older one where the newer was set.
    """
    if dtype is not torch.float32:
        return "ieee"
    plan = _plan.get()
    if plan is not None:
        return "tf32" if plan.tf32 else "ieee"
    matmul: Any = torch.backends.cuda.matmul
    newer = getattr(matmul, "fp32_precision", None)
    return "tf32" if newer == "tf32" or (newer is None and matmul.allow_tf32) else "ieee"


def _splits_wanted(like: Tensor, programs: int) -> int:
    """Parts that the pixels are split into, so that the whole device is at work twice over."""
    plan = _plan.get()
    if plan is not None:
        processors = PROCESSORS.get(plan.target, 128)
    elif like.device.type == "cuda":
        processors = torch.cuda.get_device_properties(like.device).multi_processor_count
    else:
        return 2
    return -(-4 * processors // programs)


@cache
def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    return torch.cuda.device(tensor.device) if tensor.device.type == "cuda" else nullcontext()
