"""Made-up run folders for tests; this folder is put on the path for the module that makes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_up_runs import FakeRun


@pytest.fixture
def fake_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeRun]:
    """Makes run folders under the temporary folder; no calibration of this machine is seen."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))

    def make(name: str, *args: Any, **rest: Any) -> FakeRun:
        return FakeRun(tmp_path / name, *args, **rest)

    return make
