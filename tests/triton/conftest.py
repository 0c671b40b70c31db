"""What tests of the Triton backend share. This process never interprets: kernels are interpreted in others."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture
def needs_triton() -> None:
    """Skip where triton is not installed."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed: pip install 'pacbench[triton]'")


@pytest.fixture
def interpreted_environment(needs_triton: None) -> dict[str, str]:
    """The environment of a process that interprets kernels and finds this folder's modules."""
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path}
