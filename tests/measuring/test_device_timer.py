"""Device timing on a simulated GPU: what drifts, throttles, is shared or contradicts itself is marked and left out."""

from __future__ import annotations

import math

import pytest
from simulated_device import BOOST_MHZ, MEMORY_MHZ, SimulatedDevice, take

from pacbench.measuring.device_clock import HostClock
from pacbench.measuring.device_samples import around, fewest_kept
from pacbench.measuring.device_timer import LONGEST_WARM_UP_S, STEADY_FOR_S, STEADY_READINGS, DeviceTimer
from pacbench.records import DeviceState


def why(device: SimulatedDevice, samples: int = 5) -> list[str | None]:
    """For each sample why it is left out."""
    return [sample.left_out for sample in take(device, samples).samples]


def test_a_good_device_has_every_sample(device: SimulatedDevice):
    times = take(device)
    assert times.kept_s == pytest.approx([1e-3] * 5), "cold: with a warm cache it would be half"
    assert times.notes == []
    assert times.trouble is None
    first = times.samples[0]
    assert (first.sm_clock_mhz, first.memory_clock_mhz, first.throttle_reasons) == (BOOST_MHZ, MEMORY_MHZ, [])
    assert (first.temperature_c, first.other_processes, first.left_out) == (46, 0, None)


def test_warm_up_lasts_until_the_clock_has_climbed(device: SimulatedDevice):
    device.warming_mhz = lambda seconds: min(BOOST_MHZ, 345 + 1200 * seconds)  # 1.4 s up to boost
    times = take(device)
    assert device.spent_s > 1.36
    assert times.kept_s == pytest.approx([1e-3] * 5)
    assert times.notes == []


def test_a_clock_that_still_idles_is_not_taken_for_a_steady_one(device: SimulatedDevice):
    device.warming_mhz = lambda seconds: 345 if seconds < 0.9 * STEADY_FOR_S else BOOST_MHZ
    times = take(device)
    assert times.trouble is None
    assert device.spent_s >= 1.9 * STEADY_FOR_S


def test_a_clock_that_never_settles_ends_the_warm_up_and_is_told(device: SimulatedDevice):
    device.warming_mhz = lambda seconds: 1000 if int(seconds * 20) % 2 else BOOST_MHZ
    times = take(device)
    assert LONGEST_WARM_UP_S <= device.spent_s < LONGEST_WARM_UP_S + 0.2
    (note,) = times.notes
    assert note.startswith("the SM clock was not steady after 3.0 s of warm-up: 1000 to 1980 MHz")


def test_warm_up_takes_as_many_calls_as_were_asked_for(device: SimulatedDevice):
    timer, calls = device.timer, []

    def sample() -> None:
        timer.prepare()
        timer.time(lambda: calls.append(1))
        timer.end()

    timer.settle(sample, 500)
    assert len(calls) == 500
    assert timer.finish().samples == [], "none of them is a sample"


def test_throttled_samples_are_marked_and_left_out_of_the_median(device: SimulatedDevice):
    """The planted fault of a harness: with the throttled samples the median would be twice as high."""
    device.sm_mhz = lambda number: BOOST_MHZ / 2 if number >= 3 else BOOST_MHZ
    device.reasons = lambda number: ["hw_slowdown", "sw_thermal_slowdown"] if number >= 3 else []
    times = take(device, samples=6)
    assert [sample.seconds for sample in times.samples] == pytest.approx([1e-3] * 3 + [2e-3] * 3), "all are recorded"
    assert times.kept_s == pytest.approx([1e-3] * 3)
    assert times.trouble is None
    said = "throttled: hw_slowdown, sw_thermal_slowdown; SM clock 990 MHz, 1980 MHz at its highest"
    assert times.notes == [f"3 of 6 samples left out: {said}"]
    last = times.samples[-1]
    assert (last.left_out, last.throttle_reasons) == (said, ["hw_slowdown", "sw_thermal_slowdown"])
    assert last.sm_clock_mhz == 990


def test_a_sample_that_began_or_ended_throttled_is_left_out(device: SimulatedDevice):
    device.reasons = lambda number: ["sw_power_cap"] if number == 1 else []
    assert why(device) == [None, "throttled: sw_power_cap", "throttled: sw_power_cap", None, None]


@pytest.mark.parametrize("reason", ["gpu_idle", "applications_clocks_setting"])
def test_somebodys_setting_is_no_throttling(device: SimulatedDevice, reason: str):
    device.reasons = lambda _: [reason]
    times = take(device)
    assert len(times.kept_s) == 5
    assert times.samples[0].throttle_reasons == [reason]


def test_a_reason_that_is_not_known_counts_as_throttling(device: SimulatedDevice):
    device.reasons = lambda _: ["0x1000"]
    assert why(device) == ["throttled: 0x1000"] * 5


def test_a_clock_that_falls_without_a_reason_is_seen(device: SimulatedDevice):
    device.sm_mhz = lambda number: 1400 if number in (1, 2) else BOOST_MHZ
    said = "SM clock 1400 MHz, 1980 MHz at its highest"
    assert why(device) == [None, said, said, said, None]
    device.memory_mhz = lambda number: 810 if number == 4 else MEMORY_MHZ
    assert why(device)[4] == "memory clock 810 MHz, 3201 MHz at its highest"


def test_a_clock_that_fell_right_after_warm_up_is_seen(device: SimulatedDevice):
    device.sm_mhz = lambda _: 1400
    times = take(device)
    assert times.kept_s == []
    assert times.trouble == (
        "device timing: got 0 of 5 samples that count, expected 3: SM clock 1400 MHz, 1980 MHz at its highest"
    )


def test_slow_drift_is_left_out_where_it_has_gone_too_far(device: SimulatedDevice):
    device.sm_mhz = lambda number: BOOST_MHZ * (1 - 0.008 * number)
    found = why(device, samples=9)
    assert found[:4] == [None] * 4
    assert all(said is not None and said.startswith("SM clock") for said in found[4:])


@pytest.mark.parametrize("lie", [0.0, -2e-3, math.nan, math.inf])
def test_an_event_clock_that_goes_backwards_or_stands_is_not_believed(device: SimulatedDevice, lie: float):
    device.told_s = lambda number, seconds: lie if number == 1 else seconds
    times = take(device)
    assert [sample.left_out for sample in times.samples] == [
        None, f"the device's clock gave {lie * 1e3:g} ms", None, None, None
    ]  # fmt: skip
    assert times.kept_s == pytest.approx([1e-3] * 4)


def test_an_event_clock_that_runs_ahead_of_the_host_is_not_believed(device: SimulatedDevice):
    device.told_s = lambda number, seconds: 5 * seconds if number == 3 else seconds
    assert why(device)[3] == "the device's clock gave 5 ms for a call that ended within 1.005 ms"


def test_a_shared_device_has_no_number(device: SimulatedDevice):
    device.others = lambda number: int(number >= 2)
    times = take(device)
    assert [sample.other_processes for sample in times.samples] == [0, 0, 1, 1, 1]
    assert times.trouble == (
        "device timing: got 2 of 5 samples that count, expected 3: another process computes on the GPU"
    )


def test_what_the_driver_does_not_tell_is_said_and_the_rest_counts(device: SimulatedDevice):
    device.unknown = {"throttle_reasons": "NVMLError_NotSupported: Not Supported"}
    device.sm_mhz = lambda number: 990 if number == 4 else BOOST_MHZ
    times = take(device)
    assert [sample.throttle_reasons for sample in times.samples] == [None] * 5
    assert times.samples[4].left_out is not None, "the clock still tells"
    assert times.notes[-1] == "NVML does not tell throttle_reasons: NVMLError_NotSupported: Not Supported"


def test_a_device_that_tells_nothing_is_timed_and_it_is_said(device: SimulatedDevice):
    device.unknown = dict.fromkeys(DeviceState.model_fields, "ModuleNotFoundError: no pynvml")
    times = take(device)
    assert times.kept_s == pytest.approx([1e-3] * 5)
    assert len(times.notes) == len(DeviceState.model_fields)
    assert device.spent_s < 2 * STEADY_FOR_S


@pytest.mark.parametrize(("samples", "fewest"), [(1, 1), (2, 1), (3, 2), (5, 3), (15, 8)])
def test_half_of_the_samples_must_count(samples: int, fewest: int):
    assert fewest_kept(samples) == fewest
    device = SimulatedDevice()
    device.told_s = lambda number, seconds: seconds if number < fewest else 0.0
    assert take(device, samples).trouble is None
    device.told_s = lambda number, seconds: seconds if number < fewest - 1 else 0.0
    trouble = take(device, samples).trouble
    assert trouble is not None
    assert f"got {fewest - 1} of {samples} samples that count, expected {fewest}" in trouble


def test_around_takes_the_lower_clock_and_the_worse_of_all_else():
    before = DeviceState(sm_clock_mhz=1980, temperature_c=50, throttle_reasons=["gpu_idle"], other_processes=1)
    after = DeviceState(sm_clock_mhz=1900, memory_clock_mhz=3201, temperature_c=55, throttle_reasons=["sw_power_cap"])
    assert around(before, after) == DeviceState(
        sm_clock_mhz=1900, memory_clock_mhz=3201, temperature_c=55, throttle_reasons=["gpu_idle", "sw_power_cap"],
        other_processes=1,
    )  # fmt: skip
    assert around(DeviceState(), DeviceState()) == DeviceState()


def test_a_sample_cannot_end_before_it_was_timed(device: SimulatedDevice):
    timer = device.timer
    timer.prepare()
    with pytest.raises(RuntimeError, match="got no timed call since prepare"):
        timer.end()


def test_the_host_is_a_clock_as_well():
    class Silent:
        unknown = dict.fromkeys(DeviceState.model_fields, "a CPU")

        def state(self) -> DeviceState:
            return DeviceState()

    timer = DeviceTimer(HostClock(), Silent())
    for number in range(STEADY_READINGS):
        timer.prepare()
        assert timer.time(lambda number=number: number) == number
        timer.end()
    times = timer.finish()
    assert len(times.kept_s) == STEADY_READINGS
    assert all(0 < seconds < 1 for seconds in times.kept_s)
