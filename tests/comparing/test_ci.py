"""What CI shows: the step's summary and annotations on GitHub; the example workflow asks for what exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    steps = [step.get("run", "") for job in _workflow()["jobs"].values() for step in job["steps"]]
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


def test_the_workflow_takes_the_history_before_anything_can_go_wrong_and_uploads_no_other():
    steps = _workflow()["jobs"]["history"]["steps"]
    names = [step.get("name") or step.get("run") or step["uses"] for step in steps]
    assert names.index("Fetch the history so far") < names.index("pip install .")
    assert not [step for step in steps if "continue-on-error" in step]
    upload = steps[-1]
    assert upload["if"] == f"always() && steps.{_fetching()['id']}.outcome == 'success'"
    assert f"?name={upload['with']['name']}&" in _fetching()["run"]


def test_the_shell_of_the_workflow_is_well_formed():
    scripts = [step["run"] for job in _workflow()["jobs"].values() for step in job["steps"] if "run" in step]
    for script in scripts:
        said = subprocess.run([_bash(), "-n"], input=script, capture_output=True, text=True)
        assert (said.returncode, said.stderr) == (0, ""), script


_MAIN = {"id": 40, "head_branch": "main", "repository_id": 1, "head_repository_id": 1}
_FORK = _MAIN | {"head_repository_id": 2}
_BRANCH = _MAIN | {"head_branch": "faster"}


def _artefact(number: int, day: int, run: dict[str, Any] = _MAIN, *, expired: bool = False) -> dict[str, Any]:
    created = f"2026-01-{day:02}T10:00:00Z"
    return {"id": number, "name": "pacbench-history", "expired": expired, "created_at": created, "workflow_run": run}


def test_without_an_artefact_a_new_history_begins_and_says_so(fetch: Callable):
    for pages in ([[]], [[_artefact(1, 1, expired=True), _artefact(2, 2, _FORK), _artefact(3, 3, _BRANCH)]]):
        code, said, history = fetch(pages)
        assert code == 0, said
        assert "::warning title=pacbench history::there is no artefact" in said
        assert not history.exists()


def test_the_newest_artefact_of_main_is_taken_whatever_runs_came_after_it(fetch: Callable):
    newer = [_artefact(9, 9, _FORK), _artefact(8, 8, _BRANCH), _artefact(7, 7, expired=True)]
    code, said, history = fetch([[*newer, _artefact(2, 2)], [_artefact(10, 3), _artefact(1, 1)]])
    assert code == 0, said
    assert "::warning" not in said
    assert [path.name for path in history.iterdir()] == ["of-artefact-10.json"]


@pytest.mark.parametrize("failing", ["list", "second page", "download", "cut download"])
def test_a_fetch_that_fails_is_no_new_history(fetch: Callable, failing: str):
    code, said, _ = fetch([[_artefact(1, 1)], [_artefact(2, 2)]], failing)
    assert code != 0
    assert "::warning" not in said


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Runs the step that fetches the history, as GitHub does, with a program gh that answers from pages made up."""
    if missing := [name for name in ("bash", "jq", "unzip") if shutil.which(name) is None]:
        pytest.skip(f"the step cannot be run without {', '.join(missing)}")
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f"#!{sys.executable}\n{_GH}", encoding="utf-8")
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", str(gh.parent), prepend=":")
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/something")
    monkeypatch.setenv("GITHUB_REF_NAME", "main")

    def run(pages: list[list[dict[str, Any]]], failing: str = "") -> tuple[int, str, Path]:
        temporary = tmp_path / "temporary"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        monkeypatch.setenv("RUNNER_TEMP", str(temporary))
        for page in pages:
            for artefact in page:
                with zipfile.ZipFile(gh.parent / f"{artefact['id']}.zip", "w") as archive:
                    archive.writestr(f"of-artefact-{artefact['id']}.json", "{}")
        (gh.parent / "answers.json").write_text(json.dumps({"pages": pages, "failing": failing}), encoding="utf-8")
        script = tmp_path / "step.sh"
        script.write_text(_fetching()["run"], encoding="utf-8")
        said = subprocess.run([_bash(), "-e", script], capture_output=True, text=True, cwd=tmp_path)
        return said.returncode, said.stdout + said.stderr, temporary / "history"

    return run


_GH = """
import json, subprocess, sys
from pathlib import Path

here = Path(__file__).parent
answers = json.loads((here / "answers.json").read_text())
ARTEFACTS = "repos/somebody/something/actions/artifacts"
match sys.argv[1:]:
    case ["api", "--paginate", address, "--jq", filter] if address == f"{ARTEFACTS}?name=pacbench-history&per_page=100":
        for number, page in enumerate(answers["pages"]):
            if answers["failing"] == ("list", "second page")[number]:
                sys.exit("gh: HTTP 502")
            subprocess.run(["jq", "-r", filter], input=json.dumps({"artifacts": page}), text=True, check=True)
    case ["api", address] if address.startswith(ARTEFACTS) and address.endswith("/zip"):
        if answers["failing"] == "download":
            sys.exit("gh: HTTP 410")
        archive = (here / f"{address.split('/')[-2]}.zip").read_bytes()
        sys.stdout.buffer.write(archive[:40] if answers["failing"] == "cut download" else archive)
    case words:
        sys.exit(f"gh: not asked for so far: {words}")
"""


def _workflow() -> dict[str, Any]:
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))


def _fetching() -> dict[str, Any]:
    return next(step for step in _workflow()["jobs"]["history"]["steps"] if step.get("name", "").startswith("Fetch"))


def _bash() -> str:
    return shutil.which("bash") or pytest.skip("there is no bash")
