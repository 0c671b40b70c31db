"""The roof of this machine: multiply-adds per second in registers, and bytes per second copied."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from .register_kernels import RegisterKernel, RegisterKernelError

SOURCE = "fma_peak.cpp"

_REPETITIONS = 15
_COPY_BYTES = 256 * 2**20
_COPY_REPETITIONS = 9


@dataclass(frozen=True, slots=True)
class FmaPeak:
    """Measured peak in GFLOP/s, float32 (a multiply-add counts as two), or None and the reason why not."""

    gflops: float | None
    threads: int
    reason: str | None = None


def measure_fma_peak(threads: int) -> FmaPeak:
    """Largest rate of several short repetitions, by `threads` threads at once; takes about half a second.

    Raises:
        ValueError: no thread.
    """
    try:
        return FmaPeak(RegisterKernel(SOURCE, threads).rate(_REPETITIONS) * 1e-9, threads)
    except RegisterKernelError as error:
        return FmaPeak(None, threads, str(error))


def measure_copy_bandwidth() -> float:
    """Median GB/s, read plus written, of `Tensor.copy_` (torch's threads), tensors too large for caches."""
    import torch

    source = torch.ones(_COPY_BYTES // 4)
    target = torch.empty_like(source)
    target.copy_(source)
    times = []
    for _ in range(_COPY_REPETITIONS):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * _COPY_BYTES / statistics.median(times) * 1e-9
