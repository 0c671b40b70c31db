"""axe-core finds nothing against a page, in light and dark, at the desk and on the telephone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("kind", "width", "scheme"),
    [
        ("everything", 1400, "light"),
        ("everything", 390, "dark"),
        ("history", 390, "light"),
        ("history", 1400, "dark"),
    ],
)
def test_axe_finds_nothing(
    kind: str, width: int, scheme: str, request: pytest.FixtureRequest, opened: Callable[..., Any]
) -> None:
    file: Path = request.getfixturevalue(kind)
    shown = opened(file, width=width, color_scheme=scheme)
    assert shown.draw_plots() > 0
    assert shown.findings() == []


def test_axe_finds_nothing_after_sorting_and_filtering(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    table = shown.table_of("Operators: forward")
    shown.tab.locator(f"#{table} thead button").first.click()
    shown.tab.locator(f"#{table}-filter").fill("inductor W1")
    shown.wait_for_status(table, "2 of 12 rows")
    assert shown.findings() == []


def test_the_page_tells_its_parts_to_a_screen_reader(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    tree = shown.tab.locator("body").aria_snapshot()
    for said in (
        'heading "pacbench run" [level=1]',
        'searchbox "Filter rows of Operators: forward"',
        'columnheader "time ms"',
        'rowheader "pac_crf_32"',
        "navigation",
        'img "Roofline, forward: 12 points of',
    ):
        assert said in tree
