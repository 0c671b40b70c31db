"""Fixtures for the tests of the readers of data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples: $PACBENCH_DATA, or shared/data beside the checkout; else the test is skipped."""
    named = os.environ.get("PACBENCH_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real samples: {folder} is not there, and PACBENCH_DATA names no other folder")
    return folder


@pytest.fixture
def voc_samples(shared_data: Path) -> Path:
    folder = shared_data / "voc_samples"
    if not folder.is_dir():
        pytest.skip(f"no real samples: {folder} is not there")
    return folder
