"""A/A runs summed up: false alarms, what is found, where it is kept, and that compare says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import FakeRun

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
from pacbench.comparing.comparison import compare
from pacbench.comparing.sides import Side, read_sides
from pacbench.frame import read_run
from pacbench.measuring import machine_noise
from pacbench.records import CaseRecord, Environment, append, read_lines


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


def in_turns(run: FakeRun) -> FakeRun:
    """The same run, in whose rounds the processes took turns."""
    for path in (run.folder / "records").glob("work-*.jsonl"):
        lines = read_lines(path)
        path.unlink()
        for line in lines:
            turns = {"turns": list(range(len(line.samples_s)))} if isinstance(line, CaseRecord) else {}
            append(path, line.model_copy(update=turns))
    return run


def remarks(base: str, new: str, **options: bool) -> list[str]:
    """What is said beside the verdicts of a comparison."""
    sides = read_sides(base, new)
    return calibration_remarks(compare(*sides, **options), *sides)


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
    here = in_turns(fake_run("here", {"a": 1.0, "b": 1.0}, {"x": 1.0}, rounds=6))
    (remark,) = remarks(f"{here.folder}:a", f"{here.folder}:b")
    assert remark.startswith("A/A on this machine (today, a, 2 runs of 15 rounds): 0 of 12")
    other = fake_run("other", {"a": 1.0, "b": 1.0}, {"x": 1.0}, rounds=1, environment={"threads": 7})
    assert "`pacbench calibrate` measures it" in remarks(f"{other.folder}:a", f"{other.folder}:b")[0]
    calibration_file(environment).write_text("{}")
    assert "does not fit" in remarks(f"{here.folder}:a", f"{here.folder}:b")[0]
    (here.folder / "environment.json").unlink()
    assert remarks(f"{here.folder}:a", f"{here.folder}:b") == []


def test_it_is_told_only_of_sides_that_were_measured_in_the_same_way(fake_run: Callable):
    environment = environment_of(fake_run)
    path = calibration_file(environment)
    write_calibration(calibrate(made_up(0.01), environment, at="today", asked="a", advice=[]), path)
    run = fake_run("run", {"a": 1.0, "b": 1.0}, {"x": 1.0}, rounds=6)
    a, b, stored = f"{run.folder}:a", f"{run.folder}:b", str(fake_run("stored", {"a": 1.0}, {"x": 1.0}).folder)
    (paired,) = remarks(a, b)
    assert paired == (
        "A/A: this machine's false-positive rate was measured on rounds in which both sides took turns and does not "
        "hold for this comparison, which is of paired rounds without turns."
    )
    assert remarks(a, stored)[0].endswith("which is of rounds that are not paired.")
    without = [case.model_copy(update={"turns": False}) for case in made_up(0.01)]
    write_calibration(calibrate(without, environment, at="today", asked="a", advice=[]), path)
    assert remarks(a, b)[0].startswith("A/A on this machine")
    in_turns(run)
    assert remarks(a, b)[0].endswith("which is of rounds in which both sides took turns.")
    write_calibration(calibrate(made_up(0.01), environment, at="today", asked="a", advice=[]), path)
    assert remarks(a, b)[0].startswith("A/A on this machine")
    assert remarks(a, b, across_machines=True)[0].endswith("which is of ratios to reference cases.")


def test_failed_cases_are_left_out_and_told(fake_run: Callable):
    run = in_turns(fake_run("run", {"a": 1.0, "b": 1.0}, {"x": 1.0, "y": 1.0}, rounds=6))
    broken = {"x": {"outcome": "failed", "reason": "no"}, "y": {"samples_s": [1.0]}, "check": {}}
    run.job("work-b-r2", "work", "b", 2, broken)
    run.job("more-a", "more", "a", 0, {"z": {"samples_s": [1.0]}})
    skipped = {"outcome": "skipped", "reason": "no library"}
    for backend in "ab":
        run.job(f"skips-{backend}", "skips", backend, 0, {"w": skipped})
    cases, left_out = aa_cases(3, *read_sides(f"{run.folder}:a", f"{run.folder}:b"))
    assert [(case.run, case.case, len(case.log_ratios), case.turns) for case in cases] == [(3, "work y", 6, True)]
    assert {(one.text.removeprefix("A/A run 4: left out "), one.failed) for one in left_out} == {
        ("work x: NEW failed in round 2: no", True),
        ("more z: NEW does not have it", False),
        ("skips w: BASE was skipped in round 0: no library; NEW was skipped in round 0: no library", False),
    }


def test_too_few_rounds_are_left_out(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 1.0}, {"x": 1.0}, rounds=4)
    cases, (left_out,) = aa_cases(0, *read_sides(f"{run.folder}:a", f"{run.folder}:b"))
    assert cases == []
    assert left_out.text.endswith("left out work x: 4 rounds are too few for an interval, which takes 5")


@pytest.mark.parametrize("fault", ["a failed row", "a red gate in one run", "an unreadable file", "no positive time"])
def test_the_command_tells_what_it_leaves_out_and_fails(
    fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, fault: str
):
    said = {
        "a failed row": "A/A run 2: left out work x: NEW failed in round 3: wrong\n",
        "a red gate in one run": "A/A run 2: left out work x: NEW has no green gate: ",
        "an unreadable file": "Problem: ",
        "no positive time": "A/A run 2: left out work x: NEW recorded no positive time in round 3\n",
    }[fault]

    def measure(folder, settings, codes, console):
        sides = []
        for seed, name in enumerate(("base", "new")):
            bad = (folder.name, name) == ("aa-1", "new")
            run = fake_run(
                f"out/{folder.name}/{name}", {"native": 1.0}, {"x": 1.0, "y": 2.0}, seed=seed,
                settings={"interleaved": folder.name}, red=["native"] if bad and "gate" in fault else (),
            )  # fmt: skip
            rows = {"a failed row": {"outcome": "failed", "reason": "wrong"}, "no positive time": {"samples_s": [0.0]}}
            if bad and fault in rows:
                run.job("work-native-r3", "work", "native", 3, {"x": rows[fault], "y": {"samples_s": [2.0]}})
            if bad and fault == "an unreadable file":
                (run.folder / "records" / "odd.jsonl").write_text("{}\n")
            sides.append(Side(name, read_run(run.folder), None))
        return tuple(sides)

    monkeypatch.setattr(command, "measure_in_turns", measure)
    monkeypatch.setattr(command, "advice", lambda **_: [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pacbench", "calibrate", "--runs=2", "--backend=native", "--output=out"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 1
    assert said in err
    left_out = err.count("left out ")
    assert (f"{left_out} more left out" in " ".join(out.split())) == bool(left_out)
    kept = Calibration.model_validate_json(Path("out/calibration.json").read_text())
    assert (kept.comparisons, kept.left_out) == (4 - left_out, left_out)


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
