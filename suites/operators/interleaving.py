"""Interleaved samples of one case: in every turn the FMA peak, the plain torch operator and the backend, one by one.

Drift of the machine then hits all of them alike, and the medians may be divided by one another. A call goes untimed
before each timed one, for backend and plain operator alike. What is slow - the backend compared with, Full-CRF - is
sampled in every fifth turn.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pacbench.backend import Backend
from pacbench.measuring.device_clock import HostClock
from pacbench.measuring.register_kernels import RegisterKernel, RegisterKernelError

from .cases import Direction
from .floors import pooling_floor_s, useful_floor_s, useful_flops
from .subjects import Subject, full_crf_reasons

FMA_PEAK = "fma_peak.cpp"
KERNEL_VALUES = "kernel_values.cpp"
SLOW_EVERY = 5

_BURSTS = 3  # the fastest counts
_BURST_S = 0.007
_SETTLE_S = 0.03  # torch's threads spin for a while after their work, and would take the registers' time


@dataclass
class Samples:
    """What the turns gave: seconds of each timed call by its name, and the rates of the registers, per second."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    fma: list[float] = field(default_factory=list)
    kernel_values: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def median_s(self, name: str) -> float | None:
        """Median time of a call; None where it was not timed."""
        return statistics.median(self.seconds[name]) if self.seconds.get(name) else None


class Registers:
    """The register kernels, built once and calibrated for a number of threads."""

    def __init__(self, threads: int) -> None:
        self.reason: str | None = None
        self._fma: RegisterKernel | None = None
        self._values: RegisterKernel | None = None
        try:
            self._fma = RegisterKernel(FMA_PEAK, threads, burst_s=_BURST_S)
            self._values = RegisterKernel(KERNEL_VALUES, threads, burst_s=_BURST_S)
        except RegisterKernelError as error:
            self.reason = str(error)

    def sample(self, samples: Samples, *, values: bool) -> None:
        """Add a sample of the FMA peak, and of the rate of kernel values where that is wanted."""
        time.sleep(_SETTLE_S)
        if self._fma is not None:
            samples.fma.append(self._fma.rate(_BURSTS))
        if self._values is not None and values:
            samples.kernel_values.append(self._values.rate(_BURSTS))


def interleave(
    subject: Subject,
    direction: Direction,
    backend: Backend,
    against: Backend | None,
    registers: Registers,
    turns: int,
) -> Samples:
    """Sample a case in turns; the calls are named `backend`, `plain`, `against` and `full_crf`.

    Raises:
        NotSupportedError: a backend does not support the case.
    """
    samples = Samples()
    quick = {"plain": subject.plain_call(direction), "backend": subject.backend_call(backend, direction)}
    slow: dict[str, Callable[[], Any]] = {}
    if against is not None:
        slow["against"] = subject.backend_call(against, direction)
    if subject.full_crf is not None and direction == "forward":
        reasons = full_crf_reasons()
        samples.reasons += reasons
        if not reasons and (full_crf := subject.full_crf_call()) is not None:
            slow["full_crf"] = full_crf
    for call in (*quick.values(), *slow.values()):
        call()
    gc.collect()
    gc.disable()
    try:
        for turn in range(turns):
            registers.sample(samples, values=subject.case.pooling)
            for name, call in quick.items():
                call()
                samples.seconds.setdefault(name, []).append(seconds_of(call))
            if turn % SLOW_EVERY == 0:
                for name, call in slow.items():
                    samples.seconds.setdefault(name, []).append(seconds_of(call))
    finally:
        gc.enable()
    return samples


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    return HostClock().time(call).seconds


def figures(subject: Subject, direction: Direction, samples: Samples) -> dict[str, float]:
    """What the medians say, by name; a figure that cannot be had is left out.

    Times are in milliseconds, rates in GFLOP/s and nanoseconds for one kernel value by all threads together.
    """
    own = samples.median_s("backend")
    if own is None:
        return {}
    case = subject.case
    flops = useful_flops(case, direction) if subject.layer else case.flops(direction)
    found = {"ms": own * 1e3, "gflops": flops / own * 1e-9}
    if (plain := samples.median_s("plain")) is not None:
        found |= {"plain_ms": plain * 1e3, "ratio_to_plain": own / plain}
    for name in ("against", "full_crf"):
        if (other := samples.median_s(name)) is not None:
            found |= {f"{name}_ms": other * 1e3, f"times_faster_than_{name}": other / own}
    if samples.fma:
        peak = statistics.median(samples.fma) * 1e-9
        found |= {"fma_peak_gflops": peak, "percent_of_fma_peak": 100 * found["gflops"] / peak}
        found |= _floors(subject, direction, own, peak, samples)
    return found


def _floors(subject: Subject, direction: Direction, own: float, peak: float, samples: Samples) -> Mapping[str, float]:
    case = subject.case
    if subject.layer:
        floor = useful_floor_s(case, direction, peak)
        return {"floor_ms": floor * 1e3, "percent_of_useful_floor": 100 * floor / own}
    if case.pooling and direction == "forward" and samples.kernel_values:
        value_s = 1 / statistics.median(samples.kernel_values)
        floor = pooling_floor_s(case, peak, value_s)
        return {
            "kernel_value_ns": value_s * 1e9,
            "floor_ms": floor * 1e3,
            "percent_of_pooling_floor": 100 * floor / own,
        }
    return {}
