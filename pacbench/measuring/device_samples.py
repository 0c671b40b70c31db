"""Which samples of a device count: none that was taken while it was throttled, shared, or contradicted itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pacbench.records import DeviceSample, DeviceState

from .device_monitor import HARMLESS

LARGEST_FALL = 0.03
"""A clock that is lower by more than this, relative to its highest, makes a sample another machine's."""

_CLOCK_ERROR = 0.01
_CLOCK_RESOLUTION_S = 10e-6
_CLOCKS = {"sm_clock_mhz": "SM clock", "memory_clock_mhz": "memory clock"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One timed call as it was read: the device's state around it, and both clocks."""

    state: DeviceState
    seconds: float
    host_seconds: float


def around(before: DeviceState, after: DeviceState) -> DeviceState:
    """One state for the time between two: the lower of the clocks, and the worse of all else."""

    def both(name: str) -> list[int]:
        return [value for state in (before, after) if (value := getattr(state, name)) is not None]

    told = [state.throttle_reasons for state in (before, after) if state.throttle_reasons is not None]
    return DeviceState(
        sm_clock_mhz=min(both("sm_clock_mhz"), default=None),
        memory_clock_mhz=min(both("memory_clock_mhz"), default=None),
        temperature_c=max(both("temperature_c"), default=None),
        throttle_reasons=sorted({name for names in told for name in names}) if told else None,
        other_processes=max(both("other_processes"), default=None),
    )


def judged(readings: Sequence[Reading], settled: DeviceState) -> list[DeviceSample]:
    """Every reading as a sample, with the reasons why it is left out, if any.

    Args:
        readings: Of one case, in order.
        settled: State when warm-up ended: a clock that fell right after it has fallen too.
    """
    states = [settled, *(reading.state for reading in readings)]
    highest = {name: max(getattr(state, name) or 0 for state in states) for name in _CLOCKS}
    return [
        DeviceSample(
            **reading.state.model_dump(),
            seconds=reading.seconds,
            left_out="; ".join([*_wrong_times(reading), *_wrong_states(reading.state, highest)]) or None,
        )
        for reading in readings
    ]


def fewest_kept(samples: int) -> int:
    """How many of so many samples must count for a case to have a number: half of them, rounded up."""
    return samples - samples // 2


def too_few(samples: Sequence[DeviceSample]) -> str | None:
    """Why a case has no number; None where enough of its samples count."""
    kept = sum(sample.left_out is None for sample in samples)
    fewest = fewest_kept(len(samples))
    if kept >= fewest:
        return None
    return f"device timing: got {kept} of {len(samples)} samples that count, expected {fewest}: {_why(samples)}"


def left_out_note(samples: Sequence[DeviceSample]) -> str | None:
    """A remark on the samples that are left out; None where there are none."""
    count = sum(sample.left_out is not None for sample in samples)
    return f"{count} of {len(samples)} samples left out: {_why(samples)}" if count else None


def _why(samples: Sequence[DeviceSample]) -> str:
    return " | ".join(dict.fromkeys(sample.left_out for sample in samples if sample.left_out is not None))


def _wrong_times(reading: Reading) -> list[str]:
    seconds, host = reading.seconds, reading.host_seconds
    if not (math.isfinite(seconds) and seconds > 0):
        return [f"the device's clock gave {seconds * 1e3:g} ms"]
    if seconds > host * (1 + _CLOCK_ERROR) + _CLOCK_RESOLUTION_S:
        return [f"the device's clock gave {seconds * 1e3:g} ms for a call that ended within {host * 1e3:g} ms"]
    return []


def _wrong_states(state: DeviceState, highest: dict[str, int]) -> list[str]:
    found = []
    throttling = [name for name in state.throttle_reasons or () if name not in HARMLESS]
    if throttling:
        found.append(f"throttled: {', '.join(throttling)}")
    for name, title in _CLOCKS.items():
        clock = getattr(state, name)
        if clock is not None and clock < highest[name] * (1 - LARGEST_FALL):
            found.append(f"{title} {clock} MHz, {highest[name]} MHz at its highest")
    if state.other_processes:
        found.append("another process computes on the GPU")
    return found
