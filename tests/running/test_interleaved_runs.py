"""Two runs measured in turns: round by round, one job of each, and taken up again together."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pacbench.comparing.comparison import compare
from pacbench.comparing.interleaved_runs import Code, measure_in_turns
from pacbench.comparing.sides import SideError, are_paired
from pacbench.running import coordinator, side_by_side
from pacbench.running.coordinator import in_turns
from pacbench.running.job import Job
from pacbench.running.run_session import RunSession
from pacbench.running.seat import MOST_TURNS
from pacbench.running.side_by_side import together

CODES = (Code(revision="first"), Code(revision="second"))


@pytest.fixture
def measure(runner, tmp_path: Path):
    """Measures in turns; gives the sides and what was printed."""

    def measure(codes=CODES, **rest: object):
        output = io.StringIO()
        settings = runner.settings(rounds=5, cases="cubic", **rest)
        sides = measure_in_turns(
            tmp_path / "both", settings, codes, Console(file=output, width=200), targets=runner.targets
        )
        return sides, output.getvalue().splitlines()

    return measure


def test_in_turns_and_resumed(measure, monkeypatch: pytest.MonkeyPatch):
    waits = []

    def interrupted(futures):
        waits.append(len(futures))
        if len(waits) == 2:
            raise KeyboardInterrupt
        wait(futures)

    wait = side_by_side._wait
    with monkeypatch.context() as patch:
        patch.setattr(side_by_side, "_wait", interrupted)
        assert measure()[0] is None
    assert waits == [2, 2]
    sides, said = measure()
    assert sides is not None
    base, new = sides
    assert are_paired(base, new)
    assert [line.split(":")[0].split()[1:2] for line in said] == [["BASE"], ["NEW"]] * 6
    assert sum("completed before" in line for line in said) == 4, "both gates and the first round"
    comparison = compare(base, new)
    assert comparison.paired
    assert [case.case for case in comparison.cases] == ["test_work.py::test_time[cubic]"]
    assert comparison.cases[0].base_rounds == 5
    assert (base.label, new.label) == (f"{base.text}, revision first", f"{new.text}, revision second")


def test_both_processes_of_a_round_take_turns(measure):
    (base, new), _ = measure()
    for side in (base, new):
        rows = side.run.frame[side.run.frame["suite"] == "work"]
        assert len(rows) == 5
        for samples, turns in zip(rows["samples_s"], rows["turns"], strict=True):
            assert len(samples) == len(turns)
            assert sorted(set(turns)) == list(range(MOST_TURNS))
        assert {job.outcome for job in side.run.jobs.values()} == {"completed"}
    assert "took turns" in compare(base, new).remarks[0]


def test_where_one_side_is_kept_the_other_runs_alone(measure, tmp_path: Path):
    measure()
    path = tmp_path / "both" / "new" / "jobs.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["round"] != 3 or "gate" in line))
    sides, _ = measure()
    rows = sides[1].run.frame
    turns = {row["round"]: row["turns"] for row in rows[rows["suite"] == "work"].to_dict("records")}
    assert [bool(turns[number]) for number in range(5)] == [True, True, True, False, True]
    assert compare(*sides).cases[0].base_rounds == 5


@pytest.mark.parametrize(("gpu", "code"), [(["a GPU"], CODES[1]), ([], Code("/bin/false", "second"))])
def test_no_turns_beside_a_gpu_or_with_a_revision_that_knows_none(gpu: list[str], code: Code):
    def session(python: str) -> Any:
        return SimpleNamespace(environment=SimpleNamespace(gpu=gpu), python=python)

    pairs = [(session(each.python), Job("work", "good")) for each in (CODES[0], code)]
    assert together(pairs) == [[pair] for pair in pairs]


def test_what_runs_side_by_side():
    one, other = (SimpleNamespace(environment=SimpleNamespace(gpu=[]), python=sys.executable) for _ in range(2))
    jobs = [Job("gradients", "a"), *(Job("work", name, number) for number in (0, 1) for name in ("a", "b"))]
    pairs = in_turns([SimpleNamespace(jobs=jobs, **vars(each)) for each in (one, other)])
    found = [[job.name for _, job in each] for each in together(pairs)]
    assert found == [["gate-a"], ["gate-a"], *([f"work-{name}-r{number}"] * 2 for number in (0, 1) for name in "ab")]


def test_a_folder_of_something_else_is_refused(measure, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coordinator, "in_turns", lambda _: [])
    measure()
    with pytest.raises(SideError, match=r"new: holds a run of revision second, and third is asked for"):
        measure((CODES[0], Code(revision="third")))
    with pytest.raises(SideError, match=r"base: holds a run of profile quick, and full is asked for"):
        measure(profile="full")


def test_each_side_has_its_interpreter(measure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexport OTHER=1\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    commands = []
    monkeypatch.setattr(RunSession, "_run", lambda session, job: commands.append(session._command(job)[0]))
    monkeypatch.setattr(side_by_side, "_takes_turns", lambda _: False)
    monkeypatch.setattr(RunSession, "_gate_reason", lambda *_: None)
    monkeypatch.setattr(coordinator.RunProgress, "end", lambda *_, **__: None)
    measure((CODES[0], Code(str(other), "second")))
    assert commands == [sys.executable, str(other)] * 6
