"""What CI shows: the step's summary and annotations on GitHub; the example workflow asks for what exists."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pacbench import command_line
from pacbench.comparing.comparison import compare
from pacbench.comparing.sides import read_sides
from pacbench.reports.github_annotations import annotation_lines

WORKFLOW = Path(__file__).parents[2] / "docs" / "ci" / "github-actions.yml"


def test_summary_and_annotations_on_github(
    fake_run: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    run = fake_run("run", {"a": 1.0, "b": 1.2}, {"x": 1.0, "y": 1.0})
    run.job("work-b-r2", "work", "b", 2, {"x": {"samples_s": [1.2]}, "y": {"outcome": "failed", "reason": "50 %\noff"}})
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setattr(sys, "argv", ["pacbench", "compare", f"{run.folder}:a", f"{run.folder}:b"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert re.fullmatch(r"::error title=pacbench compare::work x \(a / b\): slower, NEW / BASE 1\.\d+ \(.*\)", lines[0])
    assert lines[1] == "::error title=pacbench compare::work y (a / b): NEW failed in round 2: 50 %25 off"
    assert lines[2].startswith("::notice title=pacbench compare::Comparison: 1 slower, 1 not compared. BASE is ")
    assert len(lines) == 3
    assert summary.read_text().startswith("before\n## Comparison: 1 slower, 1 not compared")


def test_many_errors_are_cut_and_counted(fake_run: Callable):
    run = fake_run("run", {"a": 1.0, "b": 2.0}, {f"x{number}": 1.0 for number in range(14)}, rounds=10)
    lines = annotation_lines(compare(*read_sides(f"{run.folder}:a", f"{run.folder}:b")))
    assert [line for line in lines if line.startswith("::error")][-1].endswith("and 5 more: see the step's summary")
    assert len(lines) == 11


def test_the_workflow_asks_for_commands_and_options_that_exist():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [
        shlex.split(re.sub(r"\$\{\{.*?\}\}", "VALUE", line).partition("||")[0])
        for step in steps
        for line in step.replace("\\\n", " ").splitlines()
        if line.strip().startswith("pacbench ")
    ]
    assert {words[1] for words in commands} == {"verify", "compare", "bench", "history"}
    for words in commands:
        said = CliRunner().invoke(command_line.app, [words[1], "--help"]).output
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in said, f"{words[1]} has no option {word}"
