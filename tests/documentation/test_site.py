"""The site builds without a warning: no dead link, no reference that leads nowhere, no page left out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"

pytest.importorskip("sphinx", reason="the site needs the extra `docs`")


def build(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    words = ["-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--nitpicky"]
    return subprocess.run(
        [sys.executable, *words, "--doctree-dir", str(output / "doctrees"), str(source), str(output / "html")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_builds_without_a_warning(tmp_path: Path) -> None:
    done = build(DOCS, tmp_path)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "html" / "api" / "functional.html").read_text(encoding="utf-8")
    assert "pacbench.functional.guided_pacconv2d" in told


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("[a page](gone.md)", "gone"),
        ("[a heading](#gone)", "gone"),
        ("[a file](../gone/nothing.txt)", "nothing.txt"),
        ("{py:func}`pacbench.functional.gone`", "pacbench.functional.gone"),
    ],
    ids=["page", "heading", "file", "object"],
)
def test_a_dead_link_fails(tmp_path: Path, link: str, complaint: str) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    shutil.copy(DOCS / "conf.py", source)
    (source / "index.md").write_text(f"# A site\n\nIt leads to {link}.\n", encoding="utf-8")
    done = build(source, tmp_path)
    assert done.returncode != 0
    assert complaint in done.stderr
