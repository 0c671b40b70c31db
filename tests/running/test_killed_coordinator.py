"""kill -9 of the coordinator at any moment, then resume: nothing is lost, nothing counts twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import run_processes
from run_processes import is_running, wait_for
from same_frame import TIMES, expect_each_case_once, expect_same_frame

import pacbench
from pacbench.frame import Run, read_run
from pacbench.records import Environment

MOMENTS_IN_CI = 5
MOMENTS = 50
_LATEST_S = 1.6
"""Of the moments in CI, which follow one another in one run: time enough for a job, and too little for them all."""


@pytest.fixture
def start(runner, environment: Environment):
    """Starts the run in a process of its own, in the folder given."""
    settings = runner.settings("Good", "Other", rounds=2).model_dump_json()

    def start(folder: Path, **rest: int):
        return run_processes.start(folder, settings, environment.model_dump_json(), runner.targets, **rest)

    return start


def finish(process) -> str:
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def kill_after(process, seconds: float) -> None:
    time.sleep(seconds)
    process.kill()
    process.communicate()


def assert_same_as_undisturbed(folder: Path, undisturbed: Run) -> None:
    run = read_run(folder)
    assert run.problems == []
    expect_same_frame(run, undisturbed, besides=TIMES)
    expect_each_case_once(run)


def test_killed_again_and_again_and_resumed(runner, start, tmp_path: Path):
    undisturbed, code = runner.run(runner.settings("Good", "Other", rounds=2))
    assert code == 0
    moments = random.Random(20190501)
    folder = tmp_path / "killed"
    for _ in range(MOMENTS_IN_CI):
        kill_after(start(folder), moments.uniform(0, _LATEST_S))
    finish(start(folder))
    assert_same_as_undisturbed(folder, undisturbed)


@pytest.mark.deep
@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_at_a_random_moment_and_resumed(runner, start, green_once, tmp_path: Path, number: int):
    package = Path(pacbench.__path__[0])
    sources = [package / "running", package / "records.py", package / "frame.py", package / "pytest_plugin.py"]
    write_down = green_once("killed_coordinator", sources, moment=number)
    began = time.monotonic()
    undisturbed, code = runner.run(runner.settings("Good", "Other", rounds=2))
    assert code == 0
    seconds = random.Random(number).uniform(0, time.monotonic() - began)
    folder = tmp_path / "killed"
    kill_after(start(folder), seconds)
    left = sorted(path.name for path in folder.glob("records/*"))
    finish(start(folder))
    assert_same_as_undisturbed(folder, undisturbed)
    write_down(killed_after_s=round(seconds, 3), records_left=len(left))


def test_a_job_does_not_outlive_a_killed_coordinator(runner, start, write_suite, tmp_path: Path):
    pid = tmp_path / "pid"
    write_suite(
        "work",
        f"""
        import os, pathlib, time

        def test_slow(backend):
            pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
            time.sleep(100)
    """,
    )
    process = start(runner.folder)
    assert wait_for(lambda: pid.exists() and pid.read_text() != "")
    job = int(pid.read_text())
    assert is_running(job)
    process.kill()
    process.communicate()
    assert wait_for(lambda: not is_running(job), 5)


def test_two_runs_in_one_folder_refuse_each_other(runner, start, write_suite, tmp_path: Path):
    waiting, goes_on = tmp_path / "waiting", tmp_path / "goes on"
    write_suite(
        "work",
        f"""
        import pathlib, time

        def test_waits(backend):
            pathlib.Path({str(waiting)!r}).touch()
            while not pathlib.Path({str(goes_on)!r}).exists():
                time.sleep(0.05)
    """,
    )
    first = start(runner.folder)
    assert wait_for(waiting.exists)
    before = {path: path.read_bytes() for path in runner.folder.glob("**/*.json*")}
    second = start(runner.folder)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    assert said.splitlines() == [f"pacbench: {runner.folder}: another run is at work here (process {first.pid})"]
    assert {path: path.read_bytes() for path in before} == before
    goes_on.touch()
    finish(first)


def test_a_full_disk_is_one_line_and_corrupts_nothing(runner, start):
    process = start(runner.folder, largest_file=1500)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("pacbench: ")
    assert "cannot be written (" in said.splitlines()[-1]
    finish(start(runner.folder))
    run = read_run(runner.folder)
    assert run.problems == []
    assert set(run.frame["outcome"]) == {"passed"}
    assert len(run.frame) == 2 * (2 + 3 + 2), "of two backends: the gate and two rounds"
