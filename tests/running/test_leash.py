"""A job that an executor runs ends when its coordinator no longer wants it, or is no longer there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from run_processes import is_running, wait_for

from pacbench.running.leash import holding
from pacbench.running.process import Stopped, run_to_end

HANGS = """
import os, pathlib, time

HERE = pathlib.Path({folder!r})

def test_hangs(backend):
    (HERE / "half").write_text(f"{{os.getppid()}} {{os.getpid()}}")
    (HERE / "half").rename(HERE / "pid")
    time.sleep(120)
"""

SCRIPT = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from rich.console import Console
from pacbench.records import RunSettings
from pacbench.running.coordinator import Coordinator

settings = RunSettings.model_validate_json({settings!r})
with {pool} as executor:
    coordinator = Coordinator(
        Path({folder!r}), settings, Console(stderr=True), targets={targets!r}, measure_roof=False, executor=executor
    )
    code = coordinator.run()[1]
sys.exit(code)
"""


def test_a_leash_is_cut_when_its_holder_lets_go():
    with holding() as leash:
        assert not leash.is_cut()
    assert leash.is_cut()


def test_a_leash_is_cut_when_its_holder_is_gone():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with holding() as leash:
        assert replace(leash, pid=ended.pid).is_cut()
        assert replace(leash, started=leash.started - 1).is_cut(), "another process that was given the number again"


def test_a_leash_holds_though_the_clock_of_the_system_is_set(monkeypatch: pytest.MonkeyPatch):
    """psutil tells when a process started as a time of day, which moves when the clock is set."""
    with holding() as leash:
        monkeypatch.setattr(psutil.Process, "create_time", lambda _: time.time())
        monkeypatch.setattr(psutil, "boot_time", time.time)
        assert not leash.is_cut()


def test_a_leash_says_nothing_of_another_users_coordinator(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    with holding() as leash:
        monkeypatch.setattr(Path, "stat", refused)
        assert not leash.is_cut()


def test_a_leash_says_nothing_on_another_machine():
    with holding() as leash:
        elsewhere = replace(leash, place="another machine", pid=2**22 + 1)
    assert not elsewhere.is_cut()
    assert not replace(elsewhere, place="").is_cut()


@pytest.mark.parametrize("limit", [None, 10**12])
def test_a_command_that_nobody_wants_is_ended_with_its_children(tmp_path: Path, limit: int | None):
    script = f"""
import pathlib, subprocess, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path({str(tmp_path / "child")!r}).write_text(f"{{child.pid}}\\n")
time.sleep(600)
"""
    child = tmp_path / "child"
    with pytest.raises(Stopped):
        run_to_end(
            [sys.executable, "-c", script],
            tmp_path / "log",
            memory_limit_bytes=limit,
            stopped=lambda: child.exists() and child.read_text().endswith("\n"),
        )
    assert wait_for(lambda: not is_running(int(child.read_text())))


@pytest.mark.parametrize(
    ("pool", "number", "code"),
    [
        ("ThreadPoolExecutor(1)", signal.SIGINT, 130),
        ("ProcessPoolExecutor(1, multiprocessing.get_context('spawn'))", signal.SIGKILL, -signal.SIGKILL),
    ],
    ids=["threads interrupted", "processes killed"],
)
def test_no_job_outlives_its_coordinator(
    runner, write_suite, tmp_path: Path, pool: str, number: signal.Signals, code: int
):
    write_suite("work", HANGS.format(folder=str(tmp_path)))
    script = SCRIPT.format(
        settings=runner.settings().model_dump_json(), folder=str(runner.folder), targets=runner.targets, pool=pool
    )
    process = subprocess.Popen([sys.executable, "-P", "-c", script], stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "pid"
    assert wait_for(lambda: pid.exists() or process.poll() is not None, 60)
    assert process.poll() is None, process.communicate()[1]
    worker, job = map(int, pid.read_text().split())
    process.send_signal(number)
    try:
        assert wait_for(lambda: not is_running(job), 20)
        _, said = (process.wait(60), "") if number == signal.SIGKILL else process.communicate(timeout=60)
        assert process.returncode == code, said
    finally:
        if number == signal.SIGKILL:  # the pool's own process does not notice
            os.kill(worker, signal.SIGKILL)
            process.stderr.close()
    expected = {"gradients": "completed"} | ({"work": "interrupted"} if number == signal.SIGINT else {})
    assert {job.suite: job.outcome for job in runner.jobs()} == expected
