"""The gate on the CUDA kernels, on a CPU: its named subset and all derivatives in CI, the rest in `tox -e deep`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pacbench.measuring.package_hash import package_hash
from pacbench.running.probes import job_environment
from pacbench.suites import gradients

GATE = Path(gradients.__file__).parent
BACKEND = "cuda_emulated:CudaEmulatedBackend"
RESULTS = Path(__file__).parents[2] / "reports" / "reference" / "deep" / "cuda_emulated.jsonl"

OPERATORS = ("packernel2d", "pacconv2d", "pacconv_transpose2d", "pacpool2d", "guided", "mean_field_update")
"""Parts of the derivatives' cases, so that they may run side by side."""


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-c", str(settings), "-p", "no:cacheprovider"]
    command += ["-p", "pacbench.pytest_plugin", f"--pacbench-backend={BACKEND}", *words]
    environment = {**job_environment(), "PYTHONPATH": os.environ["PYTHONPATH"]}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False, timeout=3000
    )


def _assert_green(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.usefixtures("emulated_library")
def test_smoke(tmp_path: Path) -> None:
    _assert_green(_run(tmp_path, "-m", "smoke", str(GATE)))


@pytest.mark.usefixtures("emulated_library")
@pytest.mark.parametrize("operator", OPERATORS)
def test_derivatives(operator: str, tmp_path: Path) -> None:
    """Numerical derivatives in float64 of every call with respect to every argument."""
    named = "guided_" if operator == "guided" else f"Backend-{operator}-"
    _assert_green(_run(tmp_path, "-k", f"test_gradient and {named} and float64", str(GATE / "test_gradient.py")))


@pytest.mark.deep
@pytest.mark.usefixtures("emulated_library")
def test_whole_gate(tmp_path: Path) -> None:
    done_before = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    key = {"package_hash": package_hash(), "torch": torch.__version__}
    if any(key.items() <= entry.items() for entry in done_before):
        pytest.skip(f"done before: see {RESULTS.name}")
    done = _run(tmp_path, str(GATE))
    _assert_green(done)
    summary = done.stdout.strip().splitlines()[-1].strip("= ")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps({**key, "gate": summary}) + "\n")
