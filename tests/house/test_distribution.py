"""The installed package is the tree: all four rooms, nothing forgotten, imports in one direction."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

import pacbench

ROOT = Path(__file__).parents[2]
INSTALLED = Path(pacbench.__file__).parent
ROOMS = {"pacbench": "", "backends": "backends", "suites": "suites", "reports": "reports"}


def _tracked(folder: str) -> list[Path]:
    listing = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if listing.returncode or not listing.stdout:
        pytest.skip("not a git checkout: there is no list of files to compare with")
    return [Path(line).relative_to(folder) for line in listing.stdout.splitlines()]


@pytest.mark.parametrize(("folder", "package"), ROOMS.items())
def test_every_file_of_a_room_is_installed(folder: str, package: str) -> None:
    committed_results = Path("reference")
    expected = [path for path in _tracked(folder) if committed_results not in path.parents]
    missing = [str(path) for path in expected if not (INSTALLED / package / path).is_file()]
    assert not missing, f"tracked in {folder}/ but not installed: {missing}"


def test_entry_points_load() -> None:
    entries = distribution("pacbench").entry_points
    assert {entry.name for entry in entries if entry.group == "pacbench.backends"} >= {"unfold", "inductor", "native"}
    for entry in entries:
        assert entry.load() is not None


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    executable = Path(sys.executable).with_name("lint-imports")
    command = [str(executable), "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        (None, ""),
        ("geometry.py", "import pacbench.suites.gradients.cases\n"),
        ("functional.py", "from pacbench.backends import unfold\n"),
        ("suites/gradients/cases.py", "import pacbench.reports\n"),
        ("backends/unfold/backend.py", "import pacbench.suites.gradients.cases\n"),
    ],
    ids=["as_it_is", "pacbench_to_suites", "pacbench_to_backends", "suites_to_reports", "backends_to_suites"],
)
def test_import_rule(module: str | None, statement: str, tmp_path: Path) -> None:
    """Kept as the tree is; broken by each import in the wrong direction."""
    shutil.copytree(INSTALLED, tmp_path / "pacbench", ignore=shutil.ignore_patterns("__pycache__"))
    if module is not None:
        path = tmp_path / "pacbench" / module
        path.write_text(path.read_text() + statement)
    result = _lint_imports(tmp_path)
    assert result.returncode == (0 if module is None else 1), result.stdout + result.stderr
