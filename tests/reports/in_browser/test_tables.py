"""Tables are sorted and filtered by mouse and keyboard; every empty cell leads to its reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CRF = "CRF inference for semantic segmentation: scenes"


def column_numbers(shown: Any, table: str, key: str) -> list[float | None]:
    texts = shown.column(table, key)
    return [None if text == "\N{EN DASH}" else float(text) for text in texts]


def heading(shown: Any, table: str, key: str) -> Any:
    return shown.tab.locator(f"#{table} thead .column-{key}")


@pytest.mark.parametrize("key", ["click", "Enter", "Space"])
def test_sorting(key: str, everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    table = shown.table_of(CRF)
    head = heading(shown, table, "total_ms")
    before = column_numbers(shown, table, "total_ms")
    assert None in before
    numbers = sorted(value for value in before if value is not None)
    missing = [None] * before.count(None)

    def press() -> None:
        button = head.get_by_role("button")
        if key == "click":
            button.click()
        else:
            button.focus()
            shown.tab.keyboard.press(key)

    assert head.get_attribute("aria-sort") is None
    press()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column_numbers(shown, table, "total_ms") == numbers + missing
    press()
    assert head.get_attribute("aria-sort") == "descending"
    assert column_numbers(shown, table, "total_ms") == numbers[::-1] + missing
    heading(shown, table, "method").get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert shown.tab.locator(f"#{table} [aria-sort]").count() == 1
    assert shown.complaints == []


def test_words_sort_with_their_numbers_in_order(long: Path, opened: Callable[..., Any]) -> None:
    shown = opened(long)
    table = shown.table_of("Operators: forward")
    heading(shown, table, "workload").get_by_role("button").click()
    assert shown.column(table, "workload")[:6] == ["W0", "W0", "W1", "W1", "W2", "W2"]


def test_the_tab_key_goes_from_the_filter_to_the_table_to_its_headings(everything: Path, opened: Callable) -> None:
    shown = opened(everything)
    table = shown.table_of(CRF)
    shown.tab.locator(f"#{table}-filter").focus()
    shown.tab.keyboard.press("Tab")
    assert shown.tab.evaluate("document.activeElement.getAttribute('role')") == "region"
    shown.tab.keyboard.press("Tab")
    assert shown.tab.evaluate("document.activeElement.textContent") == "method"


def test_the_filter_keeps_rows_that_have_every_word(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    table = shown.table_of(CRF)
    total = shown.rows(table).count()
    box = shown.tab.get_by_label(f"Filter rows of {CRF}")
    status = shown.tab.locator(f"#{table}-status")
    assert status.inner_text() == f"{total} rows"
    assert status.evaluate("(it) => it.tagName") == "OUTPUT", "a live region by itself"
    box.fill("PAC_crf inductor")
    shown.wait_for_status(table, f"2 of {total} rows")
    assert shown.column(table, "method") == ["pac_crf_32", "pac_crf_16_64"]
    assert set(shown.column(table, "backend")) == {"inductor"}
    heading(shown, table, "method").get_by_role("button").click()
    assert shown.column(table, "method") == ["pac_crf_16_64", "pac_crf_32"], "sorting keeps the filter"
    assert status.inner_text() == f"2 of {total} rows, ascending by method"
    box.fill("no such row")
    shown.wait_for_status(table, f"0 of {total}")
    assert shown.rows(table).count() == 0
    box.fill("")
    shown.wait_for_status(table, f"{total} rows")
    assert shown.rows(table).count() == total


def test_the_filter_reads_reasons(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    table = shown.table_of(CRF)
    total = shown.rows(table).count()
    shown.tab.locator(f"#{table}-filter").fill("permutohedral lattice")
    shown.wait_for_status(table, f"1 of {total} rows")
    assert shown.column(table, "method") == ["bcl_crf"]


def test_a_long_table_shows_its_first_rows_and_all_on_demand(long: Path, opened: Callable[..., Any]) -> None:
    shown = opened(long)
    table = shown.table_of("Operators: forward")
    status = shown.tab.locator(f"#{table}-status")
    assert status.inner_text() == "5000 rows, the first 100 shown"
    assert shown.rows(table).count() == 100
    heading(shown, table, "time_ms").get_by_role("button").click()
    assert shown.column(table, "time_ms")[:2] == ["1.00", "1.00"], "all rows are sorted, not those shown"
    shown.tab.locator(f"#{table}-filter").fill("native size")
    shown.wait_for_status(table, "250 of 5000")
    assert status.inner_text() == "250 of 5000 rows, the first 100 shown, ascending by time ms"
    shown.tab.get_by_role("button", name="Show all 250 rows").click()
    assert shown.rows(table).count() == 250
    assert shown.tab.evaluate("document.activeElement.getAttribute('role')") == "region", "the focus is not lost"


def test_an_empty_cell_leads_to_its_reason(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    table = shown.table_of(CRF)
    row = shown.rows(table).filter(has_text="bcl_crf").first
    cell = row.locator(".column-total_ms")
    assert cell.locator("span").inner_text() == "\N{EN DASH}"
    mark = cell.get_by_role("link")
    mark.focus()
    assert "the permutohedral lattice is not installed" in mark.get_attribute("title")
    shown.tab.keyboard.press("Enter")
    assert "the permutohedral lattice is not installed" in shown.tab.locator(":target").inner_text()


def test_every_empty_cell_has_a_reason(everything: Path, opened: Callable[..., Any]) -> None:
    shown = opened(everything)
    assert shown.tab.locator("td.empty").count() > 10
    assert shown.tab.locator("td.empty:not(:has(a.mark))").count() == 0
    missing = (
        "Array.from(document.querySelectorAll('.mark')).filter((it) => !document.querySelector(it.hash)?.textContent)"
    )
    assert shown.tab.evaluate(f"{missing}.length") == 0
