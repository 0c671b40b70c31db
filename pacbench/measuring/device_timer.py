"""Timing on a device: warm-up until its clocks are steady, then samples with the device's state around each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pacbench.records import DeviceSample, DeviceState

from .cuda_use import works_on_cuda
from .device_clock import CudaClock, DeviceClock, Timed
from .device_monitor import DeviceMonitor, current_monitor
from .device_samples import Reading, around, judged, left_out_note, too_few

Result = TypeVar("Result")

STEADY_FOR_S = 0.25
"""The clock is steady when all its readings of so long lie near to one another: it climbs slower than calls follow."""

STEADY_READINGS = 5
"""And at least so many readings, where calls are long."""

STEADY_WITHIN = 0.02
LONGEST_WARM_UP_S = 3.0


@dataclass(frozen=True)
class DeviceTimes:
    """What a case's samples came to.

    Attributes:
        samples: All of them, those that are left out marked.
        notes: What a reader of the number should know.
        trouble: Why there is no number, if there is none.
    """

    samples: list[DeviceSample]
    notes: list[str]
    trouble: str | None

    @property
    def kept_s(self) -> list[float]:
        """Seconds of the samples that count."""
        return [sample.seconds for sample in self.samples if sample.left_out is None]


class DeviceTimer:
    """Times the calls of one case. A sample is `prepare`, `time`, `end`, in this order; only `time` is timed.

    Args:
        clock: Times a call.
        monitor: Reads the device's state.
        now: Seconds on the host's clock, by which warm-up is limited.
    """

    def __init__(self, clock: DeviceClock, monitor: DeviceMonitor, now: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monitor = monitor
        self._now = now
        self._before = self._settled = DeviceState()
        self._timed: Timed[object] | None = None
        self._readings: list[Reading] = []
        self._notes: list[str] = []

    def prepare(self) -> None:
        """Read the state and chill the caches."""
        self._timed = None
        self._before = self._monitor.state()
        self._clock.prepare()

    def time(self, call: Callable[[], Result]) -> Result:
        """Time one call and return its result."""
        timed = self._clock.time(call)
        self._timed = Timed(None, timed.seconds, timed.host_seconds)
        return timed.result

    def end(self) -> None:
        """Read the state again and keep the sample."""
        if self._timed is None:
            raise RuntimeError("DeviceTimer.end: got no timed call since prepare, expected one")
        state = around(self._before, self._monitor.state())
        self._readings.append(Reading(state, self._timed.seconds, self._timed.host_seconds))

    def settle(self, sample: Callable[[], object], fewest: int) -> None:
        """Warm up until the SM clock is steady, or the longest warm-up is over; its samples are thrown away.

        Args:
            sample: Takes one sample: prepares, times and ends.
            fewest: How many samples to take at the least.
        """
        start = self._now()
        times: list[float] = []
        while True:
            sample()
            times.append(self._now() - start)
            lately = max(STEADY_READINGS, sum(moment >= times[-1] - STEADY_FOR_S for moment in times))
            clocks = [clock for one in self._readings[-lately:] if (clock := one.state.sm_clock_mhz) is not None]
            steady = not clocks or min(clocks) >= (1 - STEADY_WITHIN) * max(clocks)
            enough = times[-1] >= STEADY_FOR_S and len(times) >= max(fewest, STEADY_READINGS)
            if (enough and steady) or (times[-1] >= LONGEST_WARM_UP_S and len(times) >= fewest):
                break
        if not steady:
            climb = f"{min(clocks)} to {max(clocks)} MHz"
            self._notes.append(f"the SM clock was not steady after {times[-1]:.1f} s of warm-up: {climb}")
        self._settled = self._readings[-1].state
        self._readings.clear()

    def finish(self) -> DeviceTimes:
        """Judge the samples."""
        samples = judged(self._readings, self._settled)
        notes = list(self._notes)
        if said := left_out_note(samples):
            notes.append(said)
        notes += [f"NVML does not tell {name}: {why}" for name, why in self._monitor.unknown.items()]
        return DeviceTimes(samples, notes, too_few(samples))


def device_timer(device: str | None) -> DeviceTimer | None:
    """A timer for the current GPU; None on the CPU, where pytest-benchmark's own clock times.

    Args:
        device: Device type that the calls work on; None for CUDA if this process uses it, else the CPU.
    """
    return DeviceTimer(CudaClock(), current_monitor()) if works_on_cuda(device) else None
