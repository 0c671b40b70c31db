"""The gate on the emulated kernels, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pacbench.running.probes import job_environment
from pacbench.suites import gradients

FOLDER = Path(gradients.__file__).parent
BACKEND = "cuda_emulated:CudaEmulatedBackend"
_TIMEOUT_S = 3000


def run(folder: Path, *words: str, prefix: Sequence[str] = (), **variables: str) -> str:
    """Run the gate; the line that sums it up.

    Args:
        folder: Empty, for the process to work in.
        *words: For pytest: files of the gate and which of their tests.
        prefix: Of the command.
        **variables: Of the environment.

    Raises:
        AssertionError: it is not green, or ran nothing; the end of what it printed.
    """
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    command = [*prefix, sys.executable, "-m", "pytest", "-q", "--tb=short", "-c", str(settings)]
    command += ["-p", "no:cacheprovider", "-p", "pacbench.pytest_plugin", f"--pacbench-backend={BACKEND}", *words]
    environment = {**job_environment(), "PYTHONPATH": os.environ["PYTHONPATH"], **variables}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode != 0 or " passed" not in done.stdout:
        raise AssertionError(done.stdout[-4000:] + done.stderr[-8000:])
    return done.stdout.strip().splitlines()[-1].strip("= ")
