"""Every block of the documentation does what the reader is told it does, and every command in its prose exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_runs import FakeRun
from shell_commands import complaints_about_prose

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if "_build" not in path.parts
)


def _stored_runs(folder: Path) -> None:
    """The runs that the page on comparing speaks of: two backends in one run, and one run before and one after."""
    cases = {"convolution": 0.01, "pooling": 0.002}
    FakeRun(folder / "my-run", {"unfold": 1.0, "native": 0.4}, cases)
    FakeRun(folder / "base-run", {"native": 1.0}, cases, seed=1)
    FakeRun(folder / "new-run", {"native": 1.0}, cases, seed=2)


PREPARED: dict[str, Callable[[Path], None]] = {"docs/comparing.md": _stored_runs}
"""What lies in a page's folder before its first block."""


def _blocks(page: str) -> int:
    return len(re.findall(r"^ *```\w", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page)])
def test_blocks(page: str, page_folder: Path, evaluate_page: Callable[[Path], None]) -> None:
    if page in PREPARED:
        PREPARED[page](page_folder)
    evaluate_page(ROOT / page)


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_prose_exist(page: str) -> None:
    assert not complaints_about_prose((ROOT / page).read_text(encoding="utf-8"))


def test_prepared_pages_are_there() -> None:
    assert PREPARED.keys() <= set(PAGES)
