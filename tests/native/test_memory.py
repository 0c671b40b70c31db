"""What a call takes beyond its inputs, outputs and gradients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pacbench.suites.operators.extra_memory import TALLER

pytestmark = pytest.mark.usefixtures("needs_library")

MEGABYTE = 2**20


def _megabytes_a_thread(name: str, direction: str, folder: Path) -> float:
    command = [sys.executable, "-m", "pacbench.suites.operators.extra_memory", name, direction, "native"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    return float(said["extra_bytes"]) / MEGABYTE / int(said["threads"])


@pytest.mark.parametrize("direction", ["forward", "forward_backward"])
def test_a_convolution_keeps_no_copies_for_its_taps(direction: str, tmp_path: Path) -> None:
    """32 channels of 256 x 256 pixels are 8 MB: 25 copies would be 200, and grow with the image."""
    own = _megabytes_a_thread("W1", direction, tmp_path)
    assert own <= 4
    assert _megabytes_a_thread(f"W1-{TALLER}", direction, tmp_path) <= max(1.25 * own, own + 1)
