"""Two runs measured in turns: round by round, one job of each, and taken up again together."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pacbench.comparing.comparison import compare
from pacbench.comparing.interleaved_runs import Code, measure_in_turns
from pacbench.comparing.sides import SideError, are_paired
from pacbench.running import coordinator
from pacbench.running.run_session import RunSession

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
    done = []
    do = RunSession.do

    def interrupted(session, job):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(f"{session.label}{job.suite}{job.round}")
        return do(session, job)

    with monkeypatch.context() as patch:
        patch.setattr(RunSession, "do", interrupted)
        assert measure()[0] is None
    assert done == ["BASE gradients0", "NEW gradients0", "BASE work0", "NEW work0", "BASE work1"]
    sides, said = measure()
    assert sides is not None
    base, new = sides
    assert are_paired(base, new)
    assert [line.split(":")[0].split()[1:2] for line in said] == [["BASE"], ["NEW"]] * 6
    assert sum("completed before" in line for line in said) == 5
    comparison = compare(base, new)
    assert comparison.paired
    assert [case.case for case in comparison.cases] == ["test_work.py::test_time[cubic]"]
    assert comparison.cases[0].base_rounds == 5
    assert (base.label, new.label) == (f"{base.text}, revision first", f"{new.text}, revision second")


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
    monkeypatch.setattr(RunSession, "_gate_reason", lambda *_: None)
    monkeypatch.setattr(coordinator.RunProgress, "end", lambda *_, **__: None)
    measure((CODES[0], Code(str(other), "second")))
    assert commands == [sys.executable, str(other)] * 6
