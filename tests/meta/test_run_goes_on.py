"""`pacbench run` with good and bad backends side by side: every job has its row, and no bad backend has a number."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from planted_faults import KILLERS

from pacbench.frame import Run, read_run

GOOD = "faulty_backends.controls:Faultless"
RED = {f"faulty_backends.{fault}": reason for fault, reason in KILLERS.items()} | {
    "faulty_backends.outputs:TwoPercentBias": "error 2.00e-02 of the largest value",
    "faulty_backends.processes:Raises": "an illegal memory access was encountered",
}
FAILING = {
    "faulty_backends.workloads:RaisesOnLargeImages": "too many resources requested for launch",
    "faulty_backends.workloads:SegfaultsOnLargeImages": "killed by SIGSEGV",
}
"""Green at the gate; the workload fails."""

METHOD = "conv_crf_7"
SMOKE_CASES = 24
NUMBERS = ("miou_percent", "total_ms", "kernel_ms", "steps_ms", "peak_memory_mb", "samples")
JOB_TIMEOUT_S = 60
"""What the backend that hangs takes; a good job takes a fifth of it."""


# One test, because the run takes a minute and pytest-xdist would make one for every worker.
def test_run_goes_on(tmp_path: Path):
    folder = tmp_path / "run"
    done = pacbench_run(folder, [*RED, *FAILING, GOOD])  # the good one last: after all that the others have done
    assert done.returncode == 1, done.stderr[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    run = read_run(folder)
    assert run.problems == []
    with (folder / "report" / "crf.csv").open(encoding="utf-8", newline="") as file:
        table = pd.DataFrame(csv.DictReader(file))
    assert_good_backend_has_its_numbers(run, table)
    for backend, reason in RED.items():
        assert_red_gate(run, table, backend, reason)
    for backend, reason in FAILING.items():
        assert_failed_rows(run, table, backend, reason)
    told = (folder / "report" / "report.md").read_text(encoding="utf-8")
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    for backend in (*RED, *FAILING, GOOD):
        assert backend.rpartition(":")[2] in done.stdout
        assert backend.rpartition(":")[2] in told
        assert backend.rpartition(":")[2] in page


def pacbench_run(folder: Path, backends: list[str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", "from pacbench.command_line import main; main()", "run", "crf"]
    words += ["--profile", "quick", "--methods", METHOD, "--backend", ",".join(backends)]
    words += ["--timeout", str(JOB_TIMEOUT_S), "--output", str(folder)]
    return subprocess.run(words, capture_output=True, text=True, cwd=folder.parent, check=False, timeout=900)


def assert_good_backend_has_its_numbers(run: Run, table: pd.DataFrame) -> None:
    assert run.gate[GOOD].green, run.gate[GOOD].reason
    assert run.gate[GOOD].passed == SMOKE_CASES
    (row,) = table[table["backend"] == GOOD].to_dict("records")
    assert (row["method"], row["status"]) == (METHOD, "ok")
    assert 0 < float(row["miou_percent"]) <= 100
    assert float(row["total_ms"]) > 0


def assert_red_gate(run: Run, table: pd.DataFrame, backend: str, reason: str) -> None:
    state = run.gate[backend]
    assert not state.green
    assert state.total == SMOKE_CASES, "a case that never ended must be counted"
    assert state.failed > 0
    assert reason in (state.reason or "")
    work = rows_of(run, backend)
    assert list(work["outcome"]) == ["withheld"]
    assert reason in work["reason"].iloc[0]
    rows = table[table["backend"] == backend]
    assert list(rows["status"]) == ["red gate"]
    assert numbers_of(rows) == set()
    assert all(reason in text for text in rows["reasons"])


def assert_failed_rows(run: Run, table: pd.DataFrame, backend: str, reason: str) -> None:
    assert run.gate[backend].green, run.gate[backend].reason
    work = rows_of(run, backend)
    bad = work[work["case"].str.contains(METHOD)]
    assert set(bad["outcome"]) <= {"failed", "error", "lost"}
    assert bad["reason"].str.contains(reason, regex=False).all()
    assert numbers_of(table[table["backend"] == backend]) == set()
    assert "ok" not in set(table[table["backend"] == backend]["status"])


def rows_of(run: Run, backend: str) -> pd.DataFrame:
    """Rows of a backend's workload."""
    frame = run.frame[(run.frame["backend"] == backend) & (run.frame["suite"] == "crf")]
    if frame.empty:
        pytest.fail(f"{backend}: its workload vanished")
    return frame


def numbers_of(rows: pd.DataFrame) -> set[str]:
    """Whatever stands in the report's columns of numbers."""
    assert len(rows) > 0
    return {value for name in NUMBERS for value in rows[name] if value}
