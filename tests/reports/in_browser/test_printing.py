"""On paper: every row, every plot, black on white, and nothing that only a screen can use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

PAPER_PX = 960
"""Length of a sheet of A4 or Letter between its margins."""

TITLE_COLOUR = "getComputedStyle(document.querySelector('.plot .xtitle')).fill"


def test_filters_stay_on_the_screen_and_all_rows_are_printed(long: Path, opened: Callable[..., Any]) -> None:
    shown = opened(long)
    table = shown.table_of("Operators: forward")
    shown.tab.locator(f"#{table}-filter").fill("native")
    shown.wait_for_status(table, "2500 of")
    assert shown.rows(table).count() == 100
    shown.tab.emulate_media(media="print")
    assert shown.rows(table).count() == 5000
    assert shown.tab.locator(".filter:visible, .more:visible, nav:visible").count() == 0
    assert (
        shown.tab.locator(f"#{table}").evaluate("(it) => it.parentElement.scrollHeight - it.parentElement.clientHeight")
        <= 1
    )
    shown.tab.emulate_media(media="screen")
    assert shown.rows(table).count() == 100


def test_what_is_folded_is_printed(long: Path, opened: Callable[..., Any]) -> None:
    shown = opened(long)
    folded = shown.tab.locator("details")
    assert folded.get_attribute("open") is None
    shown.tab.emulate_media(media="print")
    shown.wait_until("document.querySelector('details').open")
    shown.tab.emulate_media(media="screen")
    shown.wait_until("!document.querySelector('details').open")


def test_dark_pages_are_printed_black_on_white_with_every_plot(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything, color_scheme="dark")
    shown.wait_until("typeof Plotly === 'object'")
    assert shown.tab.locator(".main-svg").count() == 0
    shown.tab.emulate_media(media="print")
    shown.wait_until("document.querySelectorAll('.plot:has(.main-svg)').length === 8")
    assert shown.tab.evaluate(TITLE_COLOUR) == "rgb(0, 0, 0)"
    assert shown.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.tab.evaluate("getComputedStyle(document.querySelector('td.good')).color") == "rgb(23, 107, 65)"
    assert shown.complaints == []


def test_tables_fit_on_paper(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything, width=PAPER_PX)
    shown.tab.emulate_media(media="print")
    assert shown.tab.evaluate("document.documentElement.scrollWidth") <= PAPER_PX
    regions = "Array.from(document.querySelectorAll('.scroll'), (it) => it.scrollWidth - it.clientWidth)"
    assert max(shown.tab.evaluate(regions)) <= 0


def test_it_can_be_printed(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    shown.draw_plots()
    assert shown.tab.pdf(format="A4").startswith(b"%PDF-")
    shown.wait_until("document.querySelector('.plot .main-svg').clientWidth > 1000")
    assert shown.complaints == []
