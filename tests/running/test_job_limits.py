"""What a job may take: memory, and a device that still answers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pacbench.running import memory_watch, process
from pacbench.running.job_end import describe_end
from pacbench.running.memory_watch import MemoryWatch, default_limit_bytes
from pacbench.running.poisoned_device import poison
from pacbench.running.process import ProcessEnd, run_to_end


@pytest.mark.parametrize("where", ["itself", "a child"])
def test_a_job_that_takes_too_much_memory_is_a_row(
    runner, write_suite: Callable[..., str], monkeypatch: pytest.MonkeyPatch, where: str
):
    monkeypatch.setattr(memory_watch, "_CHILDREN_EVERY_S", 0.2)
    grow = "held = bytearray(400_000_000); held[::4096] = bytes(len(held[::4096])); time.sleep(60)"
    body = grow if where == "itself" else f"subprocess.run([sys.executable, '-c', 'import time; {grow}'])"
    write_suite(
        "work",
        f"""
        import subprocess, sys, time

        def test_first(backend): pass

        def test_greedy(backend):
            if backend.name == "good":
                {body}

        def test_last(backend): pass
    """,
    )
    run, code = runner.run(runner.settings("Good", "Other", memory_limit_bytes=400_000_000))
    assert code == 1
    found = runner.outcomes(run)
    assert found["Good test_work.py::test_first"][0] == "passed"
    outcome, reason = found["Good test_work.py::test_greedy"]
    assert outcome == "lost"
    assert str(reason).startswith(("killed: it had 0.4", "killed: it had 0.5"))
    assert "GB of memory, more than it may have in test_work.py::test_greedy" in str(reason)
    assert found["Other test_work.py::test_last"] == ("passed", None)


def test_the_default_limit_is_below_what_the_machine_has():
    assert 0 < default_limit_bytes() < psutil.virtual_memory().total


def test_a_container_has_less_than_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "memory.max").write_text("1000000000\n")
    monkeypatch.setattr(memory_watch, "_CGROUP_LIMIT", tmp_path / "memory.max")
    assert default_limit_bytes() == 900_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert default_limit_bytes() > 0


def test_a_process_that_has_ended_has_no_memory():
    assert MemoryWatch(2**22 + 1).resident_bytes() == 0


def test_a_kill_by_the_kernel_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    kills = iter([3, 4])
    monkeypatch.setattr(process, "kernel_kills", lambda: next(kills))
    log = tmp_path / "log"
    words = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    end = run_to_end(words, log)
    assert (end.exit_code, end.kernel_killed) == (-signal.SIGKILL, True)
    assert describe_end(end, log, tmp_path / "none", None)[1] == "killed by SIGKILL (the kernel was out of memory)"
    assert "kernel" not in str(describe_end(ProcessEnd(-9, 1.0), log, tmp_path / "none", None)[1])


def test_kills_are_read_from_the_cgroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(memory_watch, "_CGROUP_EVENTS", tmp_path / "events")
    assert memory_watch.kernel_kills() is None
    (tmp_path / "events").write_text("low 0\nmax 7\noom 2\noom_kill 5\n")
    assert memory_watch.kernel_kills() == 5


def test_a_poisoned_device_ends_its_job_and_no_other(runner, write_suite: Callable[..., str]):
    """A stand-in for torch.cuda, which fails for good after an error in a kernel."""
    write_suite(
        "work",
        """
        import sys, types
        import pytest

        state = types.SimpleNamespace(poisoned=False)

        def synchronize():
            if state.poisoned:
                raise RuntimeError("CUDA error: an illegal memory access was encountered\\nmore")

        cuda = types.SimpleNamespace(is_available=lambda: True, is_initialized=lambda: True, synchronize=synchronize)
        torch = types.ModuleType("torch")
        torch.cuda = cuda

        @pytest.fixture(autouse=True)
        def device(monkeypatch):
            sys.modules["torch"] = torch
            yield

        def test_first(backend):
            assert False, "only wrong"

        def test_kernel(backend):
            state.poisoned = backend.name == "good"
            assert not state.poisoned, "illegal"

        def test_next(backend): pass
    """,
    )
    run, code = runner.run(runner.settings("Good", "Other"))
    assert code == 1
    found = runner.outcomes(run)
    assert found["Good test_work.py::test_first"][0] == "failed"
    assert found["Good test_work.py::test_kernel"][0] == "failed"
    outcome, reason = found["Good test_work.py::test_next"]
    assert outcome == "lost"
    assert "the device is beyond use since test_kernel" in str(reason)
    assert "illegal memory access was encountered" in str(reason)
    assert found["Other test_work.py::test_next"] == ("passed", None)


def test_no_device_is_not_poisoned():
    assert poison() is None
