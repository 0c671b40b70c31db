"""The lock of a run folder outlives a coordinator that was killed as long as a job of it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pacbench.running import run_lock
from pacbench.running.probes import RunError
from pacbench.running.run_lock import LOCK, locked


def test_it_is_free_again_afterwards(tmp_path: Path):
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_one_holder_at_a_time(tmp_path: Path):
    with (
        locked(tmp_path),
        pytest.raises(RunError, match=rf"another run is at work here \(process {os.getpid()}\)"),
        locked(tmp_path),
    ):
        pass


def test_a_job_left_behind_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_lock, "_PATIENCE_S", 0.3)
    with locked(tmp_path) as handle:
        words = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
        job = subprocess.Popen(words, pass_fds=(handle,), stdout=subprocess.PIPE)
        assert job.stdout is not None
        job.stdout.readline()
    (tmp_path / LOCK).write_text("4194305\n")  # no such process: its coordinator was killed
    with pytest.raises(RunError, match=r"a job of an earlier run is still at work here"), locked(tmp_path):
        pass
    job.kill()
    job.communicate()
    with locked(tmp_path):
        pass
