"""Clocks that time one call: of the host, and of a GPU by CUDA events on the stream that torch uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Result = TypeVar("Result")

_FLUSHED_AT_LEAST = 256 * 2**20
"""Bytes; writing them takes the device long enough for Python to launch the timed kernels meanwhile."""

_TIMES_L2 = 2


@dataclass(frozen=True, slots=True)
class Timed(Generic[Result]):
    """A call that has been timed.

    Attributes:
        result: What it returned.
        seconds: By the device's clock, as it says, be it sensible or not.
        host_seconds: By the host's clock, from before the call until the device has ended its work.
    """

    result: Result
    seconds: float
    host_seconds: float


class DeviceClock(Protocol):
    """Times calls on one device."""

    def prepare(self) -> None:
        """Make the device forget what an earlier call left in its caches; goes before each timed call, untimed."""

    def time(self, call: Callable[[], Result]) -> Timed[Result]:
        """Time one call until its work has ended."""


class HostClock:
    """The CPU's: `time.perf_counter_ns`. Caches stay as they are, as those of a program that runs a model again."""

    def prepare(self) -> None:
        """Nothing."""

    def time(self, call: Callable[[], Result]) -> Timed[Result]:
        """Time one call."""
        start = time.perf_counter_ns()
        result = call()
        seconds = (time.perf_counter_ns() - start) * 1e-9
        return Timed(result, seconds, seconds)


class CudaClock:
    """The current GPU's: two events around the call, on torch's current stream, with a cold L2 cache.

    `prepare` enqueues writes of at least twice L2, without waiting for them: while the device works on them, Python
    launches what is timed, so that short kernels are not timed together with gaps between their launches.
    """

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda
        l2_bytes = int(torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size)
        size = max(_FLUSHED_AT_LEAST, _TIMES_L2 * l2_bytes)
        self._flushed = torch.empty(size, dtype=torch.uint8, device="cuda")
        self._start, self._end = (
            torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            for _ in range(2)
        )

    def prepare(self) -> None:
        """Write more than L2 holds."""
        self._flushed.zero_()

    def time(self, call: Callable[[], Result]) -> Timed[Result]:
        """Time one call, by the device from its first kernel on, by the host from its launch on."""
        start = time.perf_counter_ns()
        self._start.record()
        result = call()
        self._end.record()
        self._cuda.synchronize()
        host_seconds = (time.perf_counter_ns() - start) * 1e-9
        return Timed(result, self._start.elapsed_time(self._end) * 1e-3, host_seconds)
