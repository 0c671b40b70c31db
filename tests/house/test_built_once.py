"""What tests of several workers share is built once in a run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SHARING = """
import time
import pytest

@pytest.mark.parametrize("number", range(6))
def test_shares(number, built_once):
    def fill(folder):
        time.sleep(0.5)  # the other worker asks meanwhile
        (folder / "text").write_text("built")
        with (folder.parent.parent / "fillings").open("a") as file:
            file.write("once ")

    assert (built_once("thing", fill) / "text").read_text() == "built"

def test_is_tried_again_where_it_failed(built_once):
    def fail(folder):
        (folder / "half").touch()
        raise OSError

    with pytest.raises(OSError):
        built_once("other", fail)
    folder = built_once("other", lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]
"""


def test_several_workers_share_a_build(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_sharing.py").write_text(SHARING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ["-q", "-n", "2", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}", "test_sharing.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "base" / "fillings").read_text() == "once "
