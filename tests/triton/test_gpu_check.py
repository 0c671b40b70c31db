"""The GPU run book in one command: rehearsed on the interpreter, refused where nothing can run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from pacbench.command_line import app
from pacbench.commands.gpu_check import steps
from pacbench.resources import ROOFLINES, Work, predict

MAIN = "from pacbench.command_line import main; main()"


def test_quick_check_leaves_gate_profile_and_what_it_left_out(
    tmp_path: Path, interpreted_environment: dict[str, str]
) -> None:
    folder = tmp_path / "check"
    words = [sys.executable, "-c", MAIN, "gpu-check", "--backend", "triton", "--quick", "--output", str(folder)]
    done = subprocess.run(words, env=interpreted_environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads((folder / "triton" / "check.json").read_text())
    ends = {step["step"]: step["outcome"] for step in written["steps"]}
    assert ends["gate"] == ends["profile"] == "passed"
    assert set(ends) == {step.name for step in steps("triton", folder, quick=True)}
    assert {ends[name] for name in set(ends) - {"gate", "profile"}} == {"left out of a quick check"}
    profile = json.loads((folder / "triton" / "profile" / "profile.json").read_text())
    assert set(profile["operators"]) == {"convolution", "upsampling", "pooling", "mean_field_update"}
    assert "pacbench_triton::convolution" in profile["operators"]["convolution"]
    assert (folder / "triton" / "gate.xml").exists()


@pytest.mark.parametrize(
    ("backend", "offered"),
    [("triton", {"resources", "predicted"}), ("cuda_ext", {"resources"}), ("cupy", set())],
)
def test_a_backend_is_asked_only_for_what_it_offers(backend: str, offered: set[str], tmp_path: Path) -> None:
    asked = [step.name for step in steps(backend, tmp_path, quick=False)]
    assert asked[:4] == ["gate", "profile", "operators", "workloads"]
    assert set(asked[4:]) == offered


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_why(tmp_path: Path) -> None:
    words = ["gpu-check", "--backend", "triton", "--output", str(tmp_path / "check")]
    result = CliRunner().invoke(app, words, standalone_mode=False)
    assert "backend triton cannot run here" in str(result.exception)


def test_prediction_is_the_larger_of_two_times() -> None:
    target = Work("conv", "forward", "tf32", flops=3.355e9, bytes=18.2e6)
    found = predict(target, "H100")
    assert found.limiter == "tf32"
    assert found.seconds == pytest.approx(8.4e-6, rel=0.01)
    assert predict(Work("copy", "copy", "tf32", 0, 3.015e6), "H100").seconds == pytest.approx(1e-6, rel=1e-3)
    assert set(ROOFLINES) == {"A100", "H100", "H200"}


def test_work_of_the_design_target_is_what_the_docs_say(needs_triton: None) -> None:
    from pacbench.backends.triton.predicting import works

    work = next(work for work in works() if work.workload == "conv5x5-32" and work.part.endswith("forwards"))
    products, kernel = 2 * 32 * 32 * 25 * 65536, 25 * 65536 * (3 * 5 + 2) + 25 * 32 * 65536
    assert work.flops == products + kernel
    assert work.bytes == 65536 * 4 * (32 + 32 + 5) + 32 * 32 * 25 * 4
