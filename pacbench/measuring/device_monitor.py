"""What a GPU says of itself, through NVML (nvidia-ml-py): clocks, temperature, throttling, other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from pacbench.records import DeviceState

REASONS = {
    0x001: "gpu_idle",
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons, as nvml.h defines them."""

HARMLESS = frozenset({"gpu_idle", "applications_clocks_setting", "display_clock_setting"})
"""Reasons that are somebody's setting, or say that nothing ran when they were asked for; all others are throttling."""


class DeviceMonitor(Protocol):
    """Reads the state of one device."""

    @property
    def unknown(self) -> Mapping[str, str]:
        """Fields of the state that could not be read, and why."""

    def state(self) -> DeviceState:
        """The state now; takes about a millisecond."""


class NvmlMonitor:
    """Of one NVIDIA GPU. Each query may fail by itself: not every card and no partition of one answers all of them.

    Args:
        uuid: As the driver knows the GPU, such as ``GPU-01234567-89ab-cdef-0123-456789abcdef``.
    """

    def __init__(self, uuid: str) -> None:
        self.unknown: dict[str, str] = {}
        self._queries: dict[str, Callable[[], Any]] = {}
        try:
            import pynvml as nvml

            nvml.nvmlInit()
            device = nvml.nvmlDeviceGetHandleByUUID(uuid)
        except Exception as error:  # no package, no driver, no permission, no such GPU: nothing can be said
            self.unknown = dict.fromkeys(DeviceState.model_fields, _said(error))
            return
        self._queries = {
            "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM),
            "memory_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM),
            "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
            "throttle_reasons": lambda: _reasons(nvml, device),
            "other_processes": lambda: _others(nvml.nvmlDeviceGetComputeRunningProcesses(device)),
        }

    def state(self) -> DeviceState:
        """The state now."""
        found = {}
        for name, query in self._queries.items():
            try:
                found[name] = query()
            except Exception as error:  # one query that fails must not take the others, or the timing, with it
                self.unknown[name] = _said(error)
        return DeviceState(**found)


def current_monitor() -> NvmlMonitor:
    """The monitor of torch's current GPU; a process has one for each."""
    import torch

    uuid = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
    return _monitor(uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")


_monitor = cache(NvmlMonitor)


def _reasons(nvml: Any, device: Any) -> list[str]:
    """Names of the bits; a bit that nvml.h did not have when this was written is told by its number."""
    try:
        bits = int(nvml.nvmlDeviceGetCurrentClocksEventReasons(device))
    except (nvml.NVMLError, AttributeError):  # drivers and packages before 535 know it by its old name only
        bits = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device))
    return [REASONS.get(1 << place, hex(1 << place)) for place in range(bits.bit_length()) if bits >> place & 1]


def _others(processes: list[Any]) -> int:
    """How many are not this one, which a container may know by another number than the driver does."""
    numbers = {process.pid for process in processes}
    return max(0, len(numbers) - 1)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
