"""The GPU run book with these kernels: rehearsed on the shim, its commands parsed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cuda_emulated import gate

from pacbench.command_line import app
from pacbench.commands.gpu_check import steps

MAIN = "from pacbench.command_line import main; main()"


@pytest.mark.usefixtures("emulated_library")
def test_rehearsal(tmp_path: Path) -> None:
    """The smoke gate and the profile are green; what takes long is told as left out."""
    folder = tmp_path / "check"
    words = ["gpu-check", "--backend", gate.BACKEND, "--quick", "--output", str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *words], env=os.environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    left = folder / gate.BACKEND.replace(":", "_")
    ends = {step["step"]: step["outcome"] for step in json.loads((left / "check.json").read_text())["steps"]}
    left_out = "left out of a quick check"
    assert ends == {"gate": "passed", "profile": "passed", "operators": left_out, "workloads": left_out}
    profile = json.loads((left / "profile" / "profile.json").read_text())["operators"]
    assert "pacbench_cuda_emulated::convolution" in profile["convolution"]
    assert "pacbench_cuda_emulated::mean_field_update" in profile["mean_field_update"]


@pytest.mark.parametrize("backend", ["cuda_ext", "cupy"])
def test_every_workload_is_run_with_words_that_the_command_line_takes(backend: str, tmp_path: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined] # of a group
    parsed = {}
    for step in steps(backend, tmp_path, quick=False):
        if step.name == "profile":
            continue  # no command of pacbench
        name, *words = step.words[3:]  # after the interpreter, -c and its text
        parsed[name] = commands[name].make_context(name, words).params
    assert set(parsed) == {"verify", "bench", "run", *({"resources"} if backend == "cuda_ext" else ())}
    assert parsed["run"]["backend"] == [f"{backend},unfold"]
    assert not parsed["run"]["suites"], "all suites, where none is named"
