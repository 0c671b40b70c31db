"""Peak memory of one call, beyond what was held before it.

On CUDA, torch's own allocator counts. On Linux, the kernel counts: writing 5 to ``/proc/self/clear_refs``
sets the high-water mark of resident memory (VmHWM) back to what is resident now (`man 5 proc`). Where that is not
permitted, a thread samples the resident memory, which can miss a short peak.

Free heap that is still resident would hide what a call allocates, so it is given back first; `kept_heap` says what
else is done in a process that keeps its heap, so that what is measured does not depend on that.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .cuda_use import works_on_cuda
from .kept_heap import measurable_heap

Result = TypeVar("Result")

_SAMPLING_INTERVAL_S = 0.001
_RESET_HIGH_WATER_MARK = "5"


def peak_memory(call: Callable[[], Result], device: str | None = None) -> tuple[Result, int]:
    """Run a call and measure the peak of its memory.

    Args:
        call: What to run; it is run once.
        device: Device type that the call works on; None for CUDA if this process uses it, else the CPU.

    Returns:
        The call's result, and the bytes beyond what was held before the call.
    """
    if works_on_cuda(device):
        return _on_cuda(call)
    gc.collect()
    with measurable_heap():
        before = _reset_high_water_mark()
        if before is None:
            return _by_sampling(call)
        result = call()
        return result, max(0, _status_bytes("VmHWM") - before)


def _on_cuda(call: Callable[[], Result]) -> tuple[Result, int]:
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = call()
    torch.cuda.synchronize()
    return result, max(0, torch.cuda.max_memory_allocated() - before)


def _reset_high_water_mark() -> int | None:
    """Set the high-water mark to what is resident now and return it; None where that is not permitted."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_HIGH_WATER_MARK)
        return _status_bytes("VmHWM")
    except OSError:
        return None


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")


def _by_sampling(call: Callable[[], Result]) -> tuple[Result, int]:
    import psutil

    process = psutil.Process(os.getpid())
    before: int = process.memory_info().rss
    peak = before
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(_SAMPLING_INTERVAL_S):
            peak = max(peak, process.memory_info().rss)

    thread = threading.Thread(target=sample, name="pacbench peak memory", daemon=True)
    thread.start()
    try:
        result = call()
    finally:
        ended.set()
        thread.join()
    return result, max(peak, process.memory_info().rss) - before
