"""A GPU that is not there: it warms up, drifts, throttles and lies as a test asks it to, by a clock of its own."""

from __future__ import annotations

from collections.abc import Callable

from pacbench.measuring.device_clock import Timed
from pacbench.measuring.device_timer import DeviceTimer, DeviceTimes
from pacbench.records import DeviceState

BOOST_MHZ = 1980
MEMORY_MHZ = 3201
CYCLES = 1_980_000
"""Of one call: a millisecond at boost with a cold cache; half of it with a warm one."""

_LAUNCH_S = 5e-6
_FLUSH_S = 1e-4
_QUERY_S = 1e-3


class SimulatedDevice:
    """Clock and monitor in one; what the device does is a function of the sample's number, or in warm-up of time.

    Attributes:
        warming_mhz: SM clock in warm-up, by seconds since it began.
        sm_mhz: SM clock by number of the sample.
        memory_mhz: Memory clock, likewise.
        reasons: Throttle reasons, likewise.
        others: Processes beside this one, likewise.
        told_s: What the event clock says, by number of the sample and true seconds.
        unknown: Queries that the driver does not answer, and why.
        spent_s: The host's clock.
    """

    def __init__(self) -> None:
        self.warming_mhz: Callable[[float], float] = lambda _: BOOST_MHZ
        self.sm_mhz: Callable[[int], float] = lambda _: BOOST_MHZ
        self.memory_mhz: Callable[[int], int] = lambda _: MEMORY_MHZ
        self.reasons: Callable[[int], list[str]] = lambda _: []
        self.others: Callable[[int], int] = lambda _: 0
        self.told_s: Callable[[int, float], float] = lambda _, seconds: seconds
        self.unknown: dict[str, str] = {}
        self.spent_s = 0.0
        self.calls = 0
        self._sampling = False
        self._cold = False

    @property
    def timer(self) -> DeviceTimer:
        """A new timer on this device."""
        return DeviceTimer(self, self, now=lambda: self.spent_s)

    def begin_samples(self) -> None:
        """From here on samples are numbered, from 0."""
        self._sampling, self.calls = True, 0

    def prepare(self) -> None:
        self._cold = True
        self.spent_s += _FLUSH_S

    def time(self, call: Callable[[], object]) -> Timed[object]:
        seconds = CYCLES / (self._sm(self.calls) * 1e6) * (1 if self._cold else 0.5)
        self._cold = False
        self.spent_s += seconds + _LAUNCH_S
        told = self.told_s(self.calls, seconds) if self._sampling else seconds
        self.calls += 1
        return Timed(call(), told, seconds + _LAUNCH_S)

    def state(self) -> DeviceState:
        """As the last call left it: before a sample that is how the one before it ended."""
        self.spent_s += _QUERY_S
        last = self.calls - 1
        sampled = self._sampling and last >= 0
        told = {
            "sm_clock_mhz": round(self._sm(last)),
            "memory_clock_mhz": self.memory_mhz(last) if sampled else MEMORY_MHZ,
            "temperature_c": 45 + min(self.calls, 30),
            "throttle_reasons": self.reasons(last) if sampled else [],
            "other_processes": self.others(last) if sampled else 0,
        }
        return DeviceState(**{name: value for name, value in told.items() if name not in self.unknown})

    def _sm(self, number: int) -> float:
        if not self._sampling:
            return self.warming_mhz(self.spent_s)
        return self.sm_mhz(number) if number >= 0 else BOOST_MHZ


def take(device: SimulatedDevice, samples: int = 5, warmup: int = 1) -> DeviceTimes:
    """Warm up and take samples, as `measure` does."""
    timer = device.timer

    def sample() -> None:
        timer.prepare()
        timer.time(lambda: None)
        timer.end()

    timer.settle(sample, warmup)
    device.begin_samples()
    for _ in range(samples):
        sample()
    return timer.finish()
