"""Resuming a run: what was measured is kept, what is stale is never reused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pacbench.frame import read_run
from pacbench.records import Environment, RunSettings, read_lines
from pacbench.running import coordinator as module
from pacbench.running import job as job_module
from pacbench.running.exit_code import exit_code
from pacbench.running.job import Job
from pacbench.running.resuming import drop_stale


def test_resume_runs_only_what_is_left(runner):
    runner.run()
    before = {path.name: path.stat().st_mtime_ns for path in runner.folder.glob("records/*")}
    run, code = runner.run(resume=True)
    assert code == 0
    assert {path.name: path.stat().st_mtime_ns for path in runner.folder.glob("records/*")} == before
    assert len(runner.jobs()) == 2
    assert "completed before" in runner.output.getvalue()
    lines = (runner.folder / "jobs.jsonl").read_text().splitlines(keepends=True)
    (runner.folder / "jobs.jsonl").write_text(lines[0] + lines[1][:-30])  # killed while writing
    run, code = runner.run(resume=True)
    assert code == 0
    assert [job.job.partition("-")[0] for job in runner.jobs()] == ["gate", "work"]
    assert len(run.frame) == 5


def test_what_a_job_left_of_another_state_of_the_code_is_removed(tmp_path: Path):
    """A method that fails now must not have the label images that it predicted before."""
    job, other = Job("crf", "good"), Job("crf", "good", round=1)
    names = [kind.format(one.name) for one in (job, other) for kind in ("panels/{}-a.png", "predictions/{}/m/1.png")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    drop_stale(tmp_path, [job])
    assert [(tmp_path / name).exists() for name in names] == [False, False, True, True]


@pytest.mark.parametrize("change", ["package", "records", "backend", "corrupt"])
def test_resume_never_reuses_what_is_stale(
    runner, change: str, environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    runner.run()
    if change == "package":
        other = environment.model_copy(update={"package_hash": "b"})
        monkeypatch.setattr(module, "describe_environment", lambda **_: other)
    elif change == "backend":
        path = tmp_path / "plug-ins" / "fake_backends.py"
        path.write_text(path.read_text() + "# changed\n")
    elif change == "records":
        for path in runner.folder.glob("records/*"):
            path.write_text(path.read_text().rpartition("{")[0])
    else:
        (runner.folder / "jobs.jsonl").write_text("not JSON\n")
    before = {path.name: path.stat().st_mtime_ns for path in runner.folder.glob("records/*")}
    run, code = runner.run(resume=True)
    assert code == 0
    assert run.problems == []
    assert len(run.frame) == 5
    after = {path.name: path.stat().st_mtime_ns for path in runner.folder.glob("records/*")}
    assert not set(after.items()) & set(before.items())


def test_a_resumed_run_that_is_killed_holds_no_result_of_another_state(
    runner, environment: Environment, monkeypatch: pytest.MonkeyPatch
):
    runner.run()
    other = environment.model_copy(update={"package_hash": "b"})
    monkeypatch.setattr(module, "describe_environment", lambda **_: other)
    monkeypatch.setattr(module.RunSession, "do", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    console = Console(file=runner.output)
    found = module.Coordinator(runner.folder, runner.settings(), console, resume=True, targets=runner.targets).run()
    assert found == (None, 130)
    run = read_run(runner.folder)
    assert run.environment == other
    assert set(run.frame["outcome"]) == {"lost"}
    assert not any(state.green for state in run.gate.values())


def test_rounds_that_were_dropped_and_did_not_run_again_are_rows(
    runner, environment: Environment, monkeypatch: pytest.MonkeyPatch
):
    """They were completed once, before the code changed; a round after the first has no row of its own for that."""
    settings = runner.settings(rounds=3)
    runner.run(settings)
    monkeypatch.setattr(
        module, "describe_environment", lambda **_: environment.model_copy(update={"package_hash": "b"})
    )
    look = module.RunSession.settled

    def settled(session: Any, job: Job) -> Any:
        if job.round == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return look(session, job)

    monkeypatch.setattr(module.RunSession, "settled", settled)
    console = Console(file=runner.output)
    assert module.Coordinator(runner.folder, settings, console, resume=True, targets=runner.targets).run()[1] == 130
    run = read_run(runner.folder)
    told = {row["round"]: (row["outcome"], row["reason"]) for row in run.frame.to_dict("records") if not row["gate"]}
    assert told[0][0] == "passed"
    assert told[1] == told[2] == ("lost", "never started: the run was interrupted before")
    assert exit_code(run) == 1


def test_a_killed_run_of_other_code_is_not_taken_for_the_one_before(
    runner, environment: Environment, monkeypatch: pytest.MonkeyPatch
):
    """The job of the other code had written its last case, and was killed before it was written down."""
    runner.run()
    other = environment.model_copy(update={"package_hash": "b"})
    monkeypatch.setattr(module, "describe_environment", lambda **_: other)
    with monkeypatch.context() as patched:
        patched.setattr(module.RunSession, "_end", lambda *_, **_rest: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run(resume=True)
    of_other = {path.name: path.stat().st_mtime_ns for path in runner.folder.glob("records/*")}
    assert of_other
    monkeypatch.setattr(module, "describe_environment", lambda **_: environment)
    assert runner.run(resume=True)[1] == 0
    after = {path.name: path.stat().st_mtime_ns for path in runner.folder.glob("records/*")}
    assert not set(after.items()) & set(of_other.items())


def test_a_changed_suite_runs_again(runner, write_suite: Callable[..., str]):
    runner.run()
    write_suite("work", "def test_other(backend): pass")
    run, code = runner.run(resume=True)
    assert code == 0
    assert list(runner.outcomes(run)) == ["Good test_work.py::test_other"]
    assert [job.suite for job in runner.jobs()] == ["gradients", "work"]


def test_the_key_depends_on_all_that_a_result_does(environment: Environment):
    def settings(**change: object) -> RunSettings:
        given = {"suites": ["a"], "backends": ["b"], "profile": "quick", "rounds": 1, "command": "", "started": ""}
        return RunSettings(**(given | change))

    def job_key(*arguments: Any, suite_code: str = "s", **rest: Any) -> str:
        return job_module.job_key(*arguments, suite_code=suite_code, **rest)

    job = Job("a", "b")
    keys = [
        job_key(job, settings(), environment, backend_code="c", data=None),
        job_key(job, settings(), environment, backend_code="c", data=None, suite_code="x"),
        job_key(Job("x", "b"), settings(), environment, backend_code="c", data=None),
        job_key(Job("a", "x"), settings(), environment, backend_code="c", data=None),
        job_key(Job("a", "b", 1), settings(), environment, backend_code="c", data=None),
        job_key(job, settings(), environment, backend_code="x", data=None),
        job_key(job, settings(), environment, backend_code="c", data="x"),
        job_key(job, settings(profile="full"), environment, backend_code="c", data=None),
        job_key(job, settings(methods=["m"]), environment, backend_code="c", data=None),
        job_key(job, settings(data_root="/d"), environment, backend_code="c", data=None),
        job_key(job, settings(cases="k"), environment, backend_code="c", data=None),
        job_key(job, settings(save_predictions=True), environment, backend_code="c", data=None),
        job_key(job, settings(), environment, backend_code="c", data=None, weights="w"),
    ]
    for name, value in {"package_hash": "x", "torch": "3", "threads": 9, "gpu": ["x"], "allocator": "x"}.items():
        changed = environment.model_copy(update={name: value})
        keys.append(job_key(job, settings(), changed, backend_code="c", data=None))
    assert len(set(keys)) == len(keys)
    again = settings(command="other", started="later", rounds=5, timeout_s=9.0)
    assert (
        job_key(job, again, environment.model_copy(update={"fma_peak_gflops": 9.0}), backend_code="c", data=None)
        == keys[0]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_measured_and_can_be_resumed(
    runner, write_suite: Callable[..., str], tmp_path: Path, environment: Environment, number: signal.Signals
):
    waiting = tmp_path / "waiting"
    write_suite(
        "work",
        f"""
        import pathlib, time

        def test_first(backend): pass

        def test_slow(backend):
            if not pathlib.Path({str(waiting)!r}).exists():
                pathlib.Path({str(waiting)!r}).touch()
                time.sleep(120)
    """,
    )
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from pacbench.records import Environment, RunSettings
        from pacbench.running import coordinator
        from rich.console import Console

        environment = Environment.model_validate_json({environment.model_dump_json()!r})
        coordinator.describe_environment = lambda **_: environment
        settings = RunSettings.model_validate_json({runner.settings().model_dump_json()!r})
        console = Console(stderr=True)
        run = coordinator.Coordinator(Path({str(runner.folder)!r}), settings, console, targets={runner.targets!r}).run()
        sys.exit(run[1])
    """)
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if waiting.exists():
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"resume: pacbench run --resume {runner.folder}" in said
    assert [(job.suite, job.outcome) for job in runner.jobs()] == [("gradients", "completed"), ("work", "interrupted")]
    records = read_lines(next(runner.folder.glob("records/work*")))
    assert [getattr(line, "case", None) for line in records] == [None, "test_work.py::test_first"]
    run, code = runner.run(resume=True)
    assert code == 0, runner.outcomes(run)
    assert set(runner.outcomes(run).values()) == {("passed", None)}
