"""A/A runs summed up: false alarms, what is found, where it is kept, and that compare says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacbench import command_line
from pacbench.commands import calibrate as command
from pacbench.comparing.calibration import (
    AaCase,
    Calibration,
    aa_cases,
    calibrate,
    calibration_file,
    calibration_remarks,
    write_calibration,
)
from pacbench.comparing.sides import Side, read_sides
from pacbench.frame import read_run
from pacbench.measuring import machine_noise
from pacbench.records import Environment


def made_up(noise: float, *, runs: int = 2, cases: int = 6, rounds: int = 15) -> list[AaCase]:
    generator = np.random.default_rng(1)
    return [
        AaCase(run=run, case=f"c{case}", log_ratios=generator.normal(0, noise, rounds).tolist())
        for run in range(runs)
        for case in range(cases)
    ]


def environment_of(fake_run: Callable) -> Environment:
    found = read_run(fake_run("any", {"a": 1.0}, {"x": 1.0}, rounds=1).folder).environment
    assert found is not None
    return found


def test_a_quiet_machine_finds_small_slowdowns_and_a_noisy_one_does_not(fake_run: Callable):
    environment = environment_of(fake_run)
    quiet = calibrate(made_up(0.005), environment, at="today", asked="a", advice=[])
    noisy = calibrate(made_up(0.1), environment, at="today", asked="a", advice=["x"])
    assert (quiet.called, quiet.same, quiet.comparisons, quiet.runs, quiet.rounds) == (0, 12, 12, 2, 15)
    assert quiet.least_effect in (1.04, 1.05)
    assert "a slowdown of" in quiet.sentence()
    assert noisy.same == 0
    assert noisy.least_effect is not None
    assert noisy.least_effect >= 1.1
    assert list(noisy.found) == [str(effect) for effect in sorted(map(float, noisy.found))]
    hopeless = calibrate(made_up(1.0), environment, at="today", asked="a", advice=[])
    assert hopeless.least_effect is None
    assert "no slowdown up to 50 % is found" in hopeless.sentence()
    with pytest.raises(ValueError, match="got no case"):
        calibrate([], environment, at="today", asked="a", advice=[])


def test_a_false_alarm_is_counted(fake_run: Callable):
    biased = [AaCase(run=0, case="c", log_ratios=[0.2 + 0.001 * number for number in range(12)])]
    found = calibrate(biased, environment_of(fake_run), at="today", asked="a", advice=[])
    assert (found.called, found.same) == (1, 0)
    assert "1 of 1 comparisons called slower or faster" in found.sentence()


def test_it_is_kept_for_this_machine_alone(fake_run: Callable):
    environment = environment_of(fake_run)
    write_calibration(
        calibrate(made_up(0.01), environment, at="today", asked="a", advice=[]), calibration_file(environment)
    )
    (remark,) = calibration_remarks(environment)
    assert remark.startswith("A/A on this machine (today, a, 2 runs of 15 rounds): 0 of 12")
    other = environment.model_copy(update={"threads": 7})
    assert "`pacbench calibrate`" in calibration_remarks(other)[0]
    calibration_file(environment).write_text("{}")
    assert "does not fit" in calibration_remarks(environment)[0]
    assert calibration_remarks(None) == []


def test_failed_cases_are_left_out(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, {"x": 1.0, "y": 1.0}, rounds=6)
    run.job("work-b-r2", "work", "b", 2, {"x": {"outcome": "failed", "reason": "no"}, "y": {"samples_s": [1.0]}})
    cases = aa_cases(3, *read_sides(f"{run.folder}:a", f"{run.folder}:b"))
    assert [(case.run, case.case, len(case.log_ratios)) for case in cases] == [(3, "work y", 6)]


def test_the_command(
    fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    def measure(folder, settings, codes, console):
        mark = {"interleaved": folder.name}
        names = [f"out/{folder.name}/{name}" for name in ("base", "new")]
        runs = [
            fake_run(name, {"native": 1.0}, {"x": 1.0, "y": 2.0}, settings=mark, noise=0.005, seed=seed).folder
            for seed, name in enumerate(names)
        ]
        return tuple(Side(run.name, read_run(run), None) for run in runs)

    monkeypatch.setattr(command, "measure_in_turns", measure)
    monkeypatch.setattr(command, "advice", lambda **_: ["governor: powersave"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pacbench", "calibrate", "--runs=2", "--backend=native", "--output=out"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "2 runs of 12 rounds" in " ".join(said.split())
    assert "governor: powersave" in said
    kept = Calibration.model_validate_json(Path("out/calibration.json").read_text())
    assert kept.comparisons == 4
    base = fake_run("base", {"native": 1.0, "b": 1.0}, {"x": 1.0}).folder
    monkeypatch.setattr(sys, "argv", ["pacbench", "compare", f"{base}:native", f"{base}:b"])
    with pytest.raises(SystemExit):
        command_line.main()
    assert "A/A on this machine" in capsys.readouterr().out


def test_advice_says_what_to_mend(tmp_path: Path):
    governor = tmp_path / "cpu0" / "cpufreq" / "scaling_governor"
    governor.parent.mkdir(parents=True)
    governor.write_text("powersave\n")
    (tmp_path / "intel_pstate").mkdir()
    (tmp_path / "intel_pstate" / "no_turbo").write_text("0\n")
    said = " ".join(machine_noise.advice(allocator="default", root=tmp_path, look_s=0.05))
    for words in ("governor: powersave", "turbo: on", "--allocator kept"):
        assert words in said
    governor.write_text("performance\n")
    (tmp_path / "intel_pstate" / "no_turbo").write_text("1\n")
    said = " ".join(machine_noise.advice(allocator="kept", root=tmp_path, look_s=0.05))
    for words in ("governor", "turbo", "allocator"):
        assert words not in said


def test_other_load_is_seen(monkeypatch: pytest.MonkeyPatch):
    class Busy:
        pid = -1
        info = {"name": "miner"}  # noqa: RUF012

        def cpu_percent(self) -> float:
            return 87.0

    monkeypatch.setattr(machine_noise.psutil, "process_iter", lambda *_: [Busy()])
    assert "other load: miner 87 % of a processor" in " ".join(machine_noise.advice(allocator="kept", look_s=0.05))
