"""Infinities, NaNs and empty tensors are where `unfold` has them, by the interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_special_values(interpreted_environment: dict[str, str]) -> None:
    script = Path(__file__).with_name("special_values.py")
    done = subprocess.run(
        [sys.executable, str(script)], env=interpreted_environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
