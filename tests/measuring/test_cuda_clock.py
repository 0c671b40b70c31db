"""The CUDA clock and the NVML monitor, with stand-ins for torch and pynvml: no GPU is needed to see what they ask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pacbench.measuring import device_monitor
from pacbench.measuring.device_clock import CudaClock
from pacbench.measuring.device_monitor import NvmlMonitor, current_monitor
from pacbench.measuring.device_timer import device_timer
from pacbench.records import DeviceState

L2_BYTES = 300 * 2**20
UUID = "01234567-89ab-cdef-0123-456789abcdef"


class StandIn:
    """Writes down what is asked of torch and of pynvml, and answers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.flushed_bytes = 0
        self.elapsed_ms = 2.0

    @property
    def torch(self) -> SimpleNamespace:
        class Event:
            def __init__(event, enable_timing: bool) -> None:  # noqa: N805 (self is the stand-in)
                assert enable_timing

            def record(event) -> None:  # noqa: N805
                self.said.append("record")

            def elapsed_time(event, end: object) -> float:  # noqa: N805
                assert self.said[-1] == "synchronize", "events are read when they are over"
                return self.elapsed_ms

        def empty(size: int, dtype: str, device: str) -> SimpleNamespace:
            assert device == "cuda"
            self.flushed_bytes = size
            return SimpleNamespace(zero_=lambda: self.said.append("flush"))

        cuda = SimpleNamespace(
            Event=Event,
            current_device=lambda: 3,
            get_device_properties=lambda place: {3: SimpleNamespace(L2_cache_size=L2_BYTES, uuid=UUID)}[place],
            synchronize=lambda: self.said.append("synchronize"),
            is_available=lambda: True,
            is_initialized=lambda: True,
        )
        return SimpleNamespace(cuda=cuda, empty=empty, uint8="uint8")


class NVMLError(Exception):
    """As pynvml's."""


class Nvml(SimpleNamespace):
    """A stand-in for pynvml, whose queries may be made to fail."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, **rest: object) -> None:
        super().__init__(
            nvmlInit=lambda: None,
            nvmlDeviceGetHandleByUUID=lambda uuid: {f"GPU-{UUID}": "handle"}[uuid],
            nvmlDeviceGetClockInfo=lambda _, kind: {1: 1980, 2: 3201}[kind],
            nvmlDeviceGetTemperature=lambda _, kind: {0: 61}[kind],
            nvmlDeviceGetCurrentClocksEventReasons=lambda _: 0x4 | 0x1 | 0x8000,
            nvmlDeviceGetComputeRunningProcesses=lambda _: [SimpleNamespace(pid=7), SimpleNamespace(pid=8)],
        )
        vars(self).update(rest)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    found = StandIn()
    monkeypatch.setitem(sys.modules, "torch", found.torch)
    return found


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., NvmlMonitor]:
    """A monitor on a stand-in for pynvml."""

    def make(**rest: object) -> NvmlMonitor:
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(**rest))
        return NvmlMonitor(f"GPU-{UUID}")

    return make


def fails(*_: object) -> None:
    raise NVMLError("Not Supported")


def test_the_flush_goes_before_the_first_event_and_nothing_lies_between_them_and_the_call(stand_in: StandIn):
    clock = CudaClock()
    clock.prepare()
    timed = clock.time(lambda: stand_in.said.append("call") or "result")
    assert stand_in.said == ["flush", "record", "call", "record", "synchronize"]
    assert timed.result == "result"
    assert timed.seconds == pytest.approx(2e-3)
    assert 0 < timed.host_seconds < 1


def test_more_is_written_than_l2_holds(stand_in: StandIn):
    CudaClock()
    assert stand_in.flushed_bytes >= 2 * L2_BYTES


def test_a_gpu_has_a_timer_and_the_cpu_has_none(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    monkeypatch.setattr(device_monitor, "_monitor", NvmlMonitor)
    assert device_timer("cpu") is None
    assert device_timer("cuda") is not None
    assert device_timer(None) is not None, "as this process uses CUDA"
    assert current_monitor().state().sm_clock_mhz == 1980, "found by its UUID, whatever CUDA_VISIBLE_DEVICES says"


def test_without_cuda_there_is_no_timer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)))
    assert device_timer(None) is None


def test_nvml_is_asked_for_everything(nvml: Callable[..., NvmlMonitor]):
    monitor = nvml()
    assert monitor.state() == DeviceState(
        sm_clock_mhz=1980, memory_clock_mhz=3201, temperature_c=61,
        throttle_reasons=["gpu_idle", "sw_power_cap", "0x8000"], other_processes=1,
    )  # fmt: skip
    assert monitor.unknown == {}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetComputeRunningProcesses", "other_processes"),
    ],
)
def test_one_query_that_is_not_supported_takes_no_other_with_it(
    nvml: Callable[..., NvmlMonitor], query: str, field: str
):
    monitor, whole = nvml(**{query: fails}), nvml().state()
    assert monitor.state() == whole.model_copy(update={field: None})
    assert monitor.unknown == {field: "NVMLError: Not Supported"}


def test_one_clock_that_is_not_supported_leaves_the_other(nvml: Callable[..., NvmlMonitor]):
    monitor = nvml(nvmlDeviceGetClockInfo=lambda _, kind: 1980 if kind == 1 else fails())
    found = monitor.state()
    assert (found.sm_clock_mhz, found.memory_clock_mhz) == (1980, None)
    assert list(monitor.unknown) == ["memory_clock_mhz"]


def test_an_older_driver_knows_the_reasons_by_their_old_name(nvml: Callable[..., NvmlMonitor]):
    older = {"nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: 0x40}
    for newer in (fails, None):
        monitor = nvml(nvmlDeviceGetCurrentClocksEventReasons=newer, **older)
        if newer is None:
            del sys.modules["pynvml"].nvmlDeviceGetCurrentClocksEventReasons
        assert monitor.state().throttle_reasons == ["hw_thermal_slowdown"]
    monitor = nvml(
        nvmlDeviceGetCurrentClocksEventReasons=fails, nvmlDeviceGetCurrentClocksThrottleReasons=fails
    )  # fmt: skip
    assert monitor.state().throttle_reasons is None
    assert monitor.unknown == {"throttle_reasons": "NVMLError: Not Supported"}


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetHandleByUUID", None])
def test_without_nvml_nothing_is_told_and_nothing_is_raised(
    nvml: Callable[..., NvmlMonitor], monkeypatch: pytest.MonkeyPatch, broken: str | None
):
    if broken is None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
        monitor = NvmlMonitor("GPU-0")
    else:
        monitor = nvml(**{broken: fails})
    assert monitor.state() == DeviceState()
    assert list(monitor.unknown) == list(DeviceState.model_fields)


def test_this_process_is_no_other_one_whatever_its_number(nvml: Callable[..., NvmlMonitor]):
    for numbers, others in (((), 0), ((7,), 0), ((7, 7), 0), ((7, 8, 9), 2)):
        processes = [SimpleNamespace(pid=number) for number in numbers]
        monitor = nvml(nvmlDeviceGetComputeRunningProcesses=lambda _, found=processes: found)
        assert monitor.state().other_processes == others


def test_the_real_package_has_every_name_that_is_used():
    pynvml = pytest.importorskip("pynvml")
    for name in ("nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetClockInfo", "nvmlDeviceGetTemperature",
                 "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetComputeRunningProcesses",
                 "NVML_CLOCK_SM", "NVML_CLOCK_MEM", "NVML_TEMPERATURE_GPU"):  # fmt: skip
        assert hasattr(pynvml, name), name
    bits = {name: value for name, value in vars(pynvml).items() if name.startswith("nvmlClocksEventReason")}
    for value, said in device_monitor.REASONS.items():
        if said not in ("board_limit", "reliability"):
            assert value in bits.values(), said
