"""The interpreter's known faults are still there; when one of these fails, a new Triton has mended it.

Then drop its part of `mended_triton.py`, and declare bfloat16 while interpreting (`backends/triton/backend.py`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def faults() -> dict[str, bool]:
    return {}


@pytest.mark.parametrize("fault", ["bfloat16_dot", "tf32_dot", "bfloat16_cast"])
def test_fault_is_still_there(fault: str, faults: dict[str, bool], interpreted_environment: dict[str, str]) -> None:
    if not faults:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("interpreter_faults.py"))],
            env=interpreted_environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        faults |= {name: value == "True" for name, value in (line.split() for line in done.stdout.splitlines())}
    assert faults[fault], f"Triton's interpreter has mended {fault}: the work-around can go"
