"""The fixture `measure` on a simulated GPU: every sample is recorded, those that count are read, the rest is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from simulated_device import BOOST_MHZ, SimulatedDevice

from pacbench.comparing.case_rounds import case_rounds
from pacbench.comparing.sides import Side
from pacbench.frame import read_run, shown, summary
from pacbench.records import CaseRecord, DeviceSample, read_lines
from pacbench.reports.csv_files import frame_csv
from pacbench.reports.measurements import measurements
from pacbench.running import measure as module

pytest_plugins = ["pytester"]

BACKEND = """
from pacbench.backend import Backend
from pacbench.capabilities import Capabilities

class Good(Backend):
    name = "good"
    summary = "does nothing"
    capabilities = Capabilities(devices=("cpu",), dtypes=("float32",))
"""

SUITE = """
import pytest

@pytest.mark.gate
def test_right(backend):
    pass

def test_time(backend, record, measure):
    record.describe(device="cpu")
    assert measure(lambda *given: given, setup=lambda: ((7,), {})) == (7,)
"""


@pytest.fixture
def measured(
    device: SimulatedDevice, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., CaseRecord]:
    """Runs the suite on the simulated device, whose samples begin after warm-up, and gives the record of `test_time`.

    The case is described as one of the CPU, since its peak memory is measured by the device it names.
    """
    real = module.DeviceTimer.settle

    def settle(timer: object, sample: Callable[[], object], fewest: int) -> None:
        real(timer, sample, fewest)
        device.begin_samples()

    def run(*words: str) -> CaseRecord:
        monkeypatch.setattr(module, "device_timer", lambda _: device.timer)
        monkeypatch.setattr(module.DeviceTimer, "settle", settle)
        pytester.makepyfile(a_backend=BACKEND, test_work=SUITE)
        pytester.syspathinsert()
        pytester.runpytest_inprocess(
            "--pacbench-backend=a_backend:Good", "--pacbench-output=out", "--pacbench-profile=standard", *words
        )
        (path,) = pytester.path.glob("out/records/*.jsonl")
        (found,) = [line for line in read_lines(path) if isinstance(line, CaseRecord) and "test_time" in line.case]
        return found

    return run


def test_every_reader_reads_the_samples_that_count(measured: Callable[..., CaseRecord], device: SimulatedDevice):
    """The planted fault: two throttled samples of five, eleven times slower, must not reach any median or spread."""
    device.sm_mhz = lambda number: BOOST_MHZ / 11 if number >= 3 else BOOST_MHZ
    device.reasons = lambda number: ["hw_thermal_slowdown"] if number >= 3 else []
    found = measured()
    assert found.outcome == "passed", found.reason
    assert [sample.seconds for sample in found.device_samples] == pytest.approx([1e-3] * 3 + [11e-3] * 2)
    assert found.samples_s == pytest.approx([1e-3] * 3)
    assert found.notes[0].startswith("2 of 5 samples left out: throttled: hw_thermal_slowdown")

    run = read_run(Path("out"))
    assert run.problems == []
    for frame in (run.frame, shown(run.frame), summary(run.frame)):
        (row,) = frame[frame["case"].str.contains("test_time")].to_dict("records")
        assert row["median_s"] == pytest.approx(1e-3)
        assert max(row["samples_s"]) < 2e-3
        assert len(row["device_samples"]) == 5
    (rounds,) = case_rounds(Side("out", run, None)).values()
    assert rounds.seconds == pytest.approx([1e-3])
    (told,) = [one for suite in run.frame["suite"].unique() for one in measurements(run, suite)]
    assert (told.median_s, told.high_s, told.samples) == (pytest.approx(1e-3), pytest.approx(1e-3), 3)
    assert told.notes == tuple(found.notes)
    assert "hw_thermal_slowdown" in frame_csv(run), "left out of the number, not of the files"


def test_a_record_that_counts_a_throttled_sample_is_refused(
    measured: Callable[..., CaseRecord], device: SimulatedDevice
):
    """The planted fault: whoever writes all samples into `samples_s` has a file that does not fit the schema."""
    device.reasons = lambda number: ["sw_power_cap"] if number >= 3 else []
    found = measured()
    whole = found.model_dump() | {"samples_s": [sample.seconds for sample in found.device_samples]}
    with pytest.raises(ValidationError, match="expected the kept device_samples"):
        CaseRecord(**whole)
    (path,) = Path("out/records").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(f"{json.dumps(whole if 'test_time' in str(line) else line)}\n" for line in lines[-1:]))
    (problem,) = read_run(Path("out")).problems
    assert "samples_s: got" in problem


def test_too_few_samples_that_count_are_a_failed_row_without_a_number(
    measured: Callable[..., CaseRecord], device: SimulatedDevice
):
    device.reasons = lambda number: ["sw_power_cap"] if number >= 2 else []
    found = measured()
    assert found.outcome == "failed"
    assert found.reason == ("Failed: device timing: got 2 of 5 samples that count, expected 3: throttled: sw_power_cap")
    assert len(found.device_samples) == 5, "they stay in the records"
    run = read_run(Path("out"))
    (row,) = [row for row in shown(run.frame).to_dict("records") if "test_time" in row["case"]]
    assert row["samples_s"] == row["device_samples"] == []
    assert row["median_s"] != row["median_s"]
    (rounds,) = case_rounds(Side("out", run, None)).values()
    assert (rounds.failed, rounds.logs) == (True, {})
    assert "device timing" in str(rounds.trouble)


def test_without_timing_the_device_is_not_asked(measured: Callable[..., CaseRecord], device: SimulatedDevice):
    found = measured("--benchmark-disable")
    assert (found.outcome, found.samples_s, found.device_samples) == ("passed", [], [])
    assert device.calls == 0


def test_a_time_that_is_no_number_is_written_and_read(tmp_path: Path):
    sample = DeviceSample(seconds=float("nan"), left_out="the device's clock gave nan ms")
    assert str(DeviceSample.model_validate_json(sample.model_dump_json()).seconds) == "nan"
    record = CaseRecord(
        job="j", suite="s", case="c", backend="b", round=0, outcome="passed", samples_s=[], device_samples=[sample]
    )
    assert str(CaseRecord.model_validate_json(record.model_dump_json()).device_samples[0].seconds) == "nan"
