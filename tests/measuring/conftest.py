"""The simulated device; this folder is put on the path for the module that makes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulated_device import SimulatedDevice


@pytest.fixture
def device() -> SimulatedDevice:
    """A device that keeps its clocks and tells the truth, until a test changes it."""
    return SimulatedDevice()
