"""Runs on a real Dask cluster: the frame of a local run though a worker is killed, and no job runs on for nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dask_processes import cluster
from run_processes import is_running, wait_for
from same_frame import expect_each_case_once, expect_same_frame

from pacbench import command_line
from pacbench.frame import read_run
from pacbench.running.dask_cluster import connected
from pacbench.running.probes import RunError

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

WORK = """
import os, pathlib, time
import pytest

HERE = pathlib.Path({folder!r})

@pytest.mark.timing
def test_time(backend, measure):
    if backend.name == "other" and (HERE / "armed").exists() and not (HERE / "pid").exists():
        (HERE / "half").write_text(f"{{os.getppid()}} {{os.getpid()}}")
        (HERE / "half").rename(HERE / "pid")
        time.sleep(120)
    measure(lambda: None)

@pytest.mark.quality
def test_quality(backend, record):
    record.metric("mIoU", 0.5)
"""
ONE_JOB = ("--nthreads", "1")
ONE_GPU = ("--nthreads", "2", "--resources", "GPU=1")

SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from pacbench.records import RunSettings
from pacbench.running import leash
from pacbench.running.coordinator import Coordinator
from pacbench.running.dask_cluster import connected

leash._place = lambda: ""  # as if the workers were on another machine
folder = Path({folder!r})
settings = RunSettings.model_validate_json({settings!r})
console = Console(stderr=True)
with connected({scheduler!r}, console.print, allocator="default") as executor:
    coordinator = Coordinator(
        folder, settings, console, targets={targets!r}, resume=(folder / "run.json").exists(), measure_roof=False,
        executor=executor,
    )
    code = coordinator.run()[1]
sys.exit(code)
"""


@pytest.fixture
def armed(tmp_path: Path, write_suite) -> Path:
    """Arms the suite: its next job of the backend Other writes its worker and itself into `pid`, and hangs."""
    write_suite("work", WORK.format(folder=str(tmp_path)))
    return tmp_path / "armed"


def processes_of_job(folder: Path, coordinator: subprocess.Popen[str] | None = None) -> tuple[int, int]:
    """Worker and job that hangs."""
    ended = coordinator.poll if coordinator is not None else (lambda: None)
    assert wait_for(lambda: (folder / "pid").exists() or ended() is not None, 60)
    assert ended() is None, coordinator.communicate()[1]
    worker, job = (folder / "pid").read_text().split()
    return int(worker), int(job)


def test_the_same_frame_as_the_local_run_with_a_worker_killed(runner, armed: Path, tmp_path: Path):
    settings = runner.settings("Good", "Other", rounds=2)
    local, code = runner.run(settings)
    assert code == 0, runner.output.getvalue()
    runner.folder = runner.folder.with_name("by dask")
    armed.touch()
    said: list[str] = []

    def kill_its_worker() -> None:
        os.kill(processes_of_job(tmp_path)[0], signal.SIGKILL)

    with (
        cluster(tmp_path, ONE_JOB, ONE_JOB, ONE_JOB) as dask,
        connected(dask.address, said.append, allocator="default") as executor,
    ):
        killer = threading.Thread(target=kill_its_worker)
        killer.start()
        run, code = runner.run(settings, executor=executor, measure_roof=False)
        killer.join()
    assert code == 0, runner.output.getvalue()
    assert len(said) == 1, "the workers share a machine"
    assert "disturb each other's times" in said[0]
    expect_same_frame(run, local)
    expect_each_case_once(run)
    again = run.frame[run.frame["attempt"] > 1]
    assert {(suite, round_) for suite, round_ in zip(again["suite"], again["round"], strict=True)} <= {
        ("work", 0), ("work", 1)
    }  # fmt: skip
    assert again["round"].nunique() == 1
    assert sorted(again["backend"].str.partition(":")[2].unique()) == ["Good", "Other"], "the turn moves as a whole"
    (note,) = {notes[-1] for notes in again["notes"]}
    assert note.startswith("attempt 2 on ")
    assert note.endswith(" was lost while it ran this")
    (worker,) = set(again["worker"])
    assert worker.startswith("tcp://127.0.0.1:")
    assert worker not in note.partition("after: ")[2]


def test_no_job_runs_on_for_a_coordinator_that_is_gone(runner, armed: Path, tmp_path: Path):
    """Killed, interrupted, resumed: on a worker that has two threads and, for one job at a time, one GPU."""
    armed.touch()
    settings = runner.settings("Good", "Other").model_dump_json()
    with cluster(tmp_path, ONE_GPU) as dask:
        script = SCRIPT.format(
            folder=str(runner.folder), settings=settings, scheduler=dask.address, targets=runner.targets
        )

        def started() -> subprocess.Popen[str]:
            return subprocess.Popen([sys.executable, "-P", "-c", script], stderr=subprocess.PIPE, text=True)

        for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            process = started()
            job = processes_of_job(tmp_path, process)[1]
            assert is_running(job)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            assert process.returncode == code, said
            assert wait_for(lambda job=job: not is_running(job), 20)
            (tmp_path / "pid").unlink()
        assert f"resume: pacbench run --resume {runner.folder}" in said
        assert {job.outcome for job in runner.jobs() if job.suite == "work"} == {"interrupted"}
        armed.unlink()
        process = started()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("completed before") == 2, "the gates came home before the kill"
    run = read_run(runner.folder)
    assert set(run.frame["outcome"]) == {"passed"}
    expect_each_case_once(run)


@pytest.mark.parametrize(
    ("place", "reason"), [(0, r"^(lost the scheduler|the executor is broken)"), (1, "^no worker of the run is left")]
)
def test_without_scheduler_or_workers_the_run_ends_with_one_line(
    runner, armed: Path, tmp_path: Path, place: int, reason: str
):
    armed.touch()
    with (
        cluster(tmp_path, ONE_JOB) as dask,
        connected(dask.address, print, allocator="default") as executor,
    ):

        def kill() -> None:
            processes_of_job(tmp_path)
            dask.processes[place].kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(RunError, match=reason):
            runner.run(runner.settings("Good", "Other"), executor=executor, measure_roof=False)
        killer.join()
    assert {job.suite: job.outcome for job in runner.jobs()} == {"gradients": "completed"}


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        (True, "pacbench: scheduler tcp://127.0.0.1:9: cannot be reached ("),
        (False, "pacbench: --executor dask: import of distributed halted; None in sys.modules; mend: pip install "),
    ],
)
def test_what_cannot_be_reached_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, installed: bool, reason: str
):
    if not installed:
        monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["run", "crf", "--backend", "unfold", "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9"]
    monkeypatch.setattr(sys, "argv", ["pacbench", *words, "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.startswith(reason)
