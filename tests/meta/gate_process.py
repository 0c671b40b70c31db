"""The gate in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pacbench.records import CaseRecord, read_lines
from pacbench.running.probes import job_environment
from pacbench.suites import gradients

GATE = Path(gradients.__file__).parent
TIMEOUT_S = 600


@dataclass(frozen=True)
class GateEnd:
    """How the gate ended: pytest's exit code, and each case's record by (backend, case)."""

    exit_code: int
    records: dict[tuple[str, str], CaseRecord]

    def outcomes(self, backend: str) -> dict[str, str]:
        """How each case of a backend ended."""
        return {case: record.outcome for (of, case), record in self.records.items() if of == backend}

    def red(self, backend: str) -> list[str]:
        """Cases of a backend that did not pass and were not skipped."""
        return [case for case, outcome in self.outcomes(backend).items() if outcome in ("failed", "error")]

    def reason(self, backend: str, case: str) -> str:
        """Why a case is not green."""
        return self.records[backend, case].reason or ""


def run_cases(folder: Path, cases: Sequence[tuple[str, str]], *, smoke: bool) -> GateEnd:
    """Run pairs of (backend, case); with `smoke` only those of the smoke subset."""
    backends = dict.fromkeys(backend for backend, _ in cases)
    return _run(folder, list(backends), [_node(backend, case) for backend, case in cases], smoke=smoke)


def run_whole(folder: Path, backends: Sequence[str], *, smoke: bool) -> GateEnd:
    """Run the whole gate, or its whole smoke subset."""
    return _run(folder, backends, [str(GATE)], smoke=smoke)


def _run(folder: Path, backends: Sequence[str], targets: Sequence[str], *, smoke: bool) -> GateEnd:
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    words = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-c", str(settings)]
    words += ["-p", "no:cacheprovider", "-p", "pacbench.pytest_plugin"]
    words += [f"--pacbench-backend={','.join(backends)}", f"--pacbench-output={folder}", "--pacbench-job=gate"]
    words += [*(["-m", "smoke"] if smoke else []), *targets]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=folder, env=job_environment(), check=False, timeout=TIMEOUT_S
    )
    assert done.returncode in (0, 1), f"pytest left with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    lines = read_lines(folder / "records" / "gate.jsonl")
    records = {(line.backend, line.case): line for line in lines if isinstance(line, CaseRecord)}
    return GateEnd(done.returncode, records)


def _node(backend: str, case: str) -> str:
    """The pytest name of a case as records have it, ``test_forward.py::test_forward[pacconv2d-3x3-float64]``."""
    test, _, arguments = case.removesuffix("]").partition("[")
    return f"{GATE / test}[{backend}{'-' if arguments else ''}{arguments}]"
