"""Numbers, escapes and footnotes: the small parts of every report."""

import math

import pytest

from pacbench.reports import number_format
from pacbench.reports.cells import Cell, Column, Footnotes, SummaryTable, empty, number, words
from pacbench.reports.escaping import for_csv, for_markdown, for_plotly, json_for_script, one_line, plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2583.4, "2580"), (999.6, "1000"), (536.2, "536"), (99.96, "100"), (81.04, "81.0"), (4.0512, "4.05"),
        (0.20213, "0.202"), (0.012345, "0.0123"), (1e-7, "0.000000100"), (0, "0"), (-2.345, "-2.35"),
    ],
)  # fmt: skip
def test_three_significant_digits(value: float, text: str) -> None:
    assert number_format.significant(value) == text


def test_percent_and_points() -> None:
    assert number_format.percent(0.67204) == "67.20"
    assert number_format.points(2.449) == "+2.45"
    assert number_format.points(-0.1) == "\N{MINUS SIGN}0.10"
    assert number_format.points(-0.001) == "0.00"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_a_number(value: float) -> None:
    cell = number(value, number_format.significant, "not recorded")
    assert cell.empty
    assert cell.reason is not None
    assert "finite" in cell.reason


def test_no_value_says_why() -> None:
    assert number(None, number_format.significant, "not recorded") == empty("not recorded")


def test_plain_takes_out_terminal_codes_and_direction_marks() -> None:
    assert plain("\x1b[31mred\x1b[0m\x07 \u202eevil\nline") == "red evil\nline"
    assert one_line("two\n  lines") == "two lines"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"


def test_markdown_shows_markup_as_text() -> None:
    assert for_markdown("<script>|`*[x](y)") == "&lt;script&gt;\\|\\`\\*\\[x\\](y)"
    assert for_markdown("pac_crf_16_64") == "pac_crf_16_64"
    assert for_markdown("_private_") == "\\_private\\_"
    assert for_markdown("a\nb") == "a b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1"])
def test_csv_text_is_no_formula(text: str) -> None:
    assert for_csv(text) == f"'{text}"


def test_csv_text_stays_as_it_is() -> None:
    assert for_csv("unfold") == "unfold"


def test_json_cannot_end_its_script_element() -> None:
    text = json_for_script({"name": "</script><!--&"})
    assert not set("<>&") & set(text)


def test_plotly_labels_hold_no_markup() -> None:
    assert for_plotly('<a href="x">') == '&lt;a href="x"&gt;'


def test_equal_reasons_share_a_footnote() -> None:
    rows = [[empty("red"), words("bad", "failed")], [empty("red"), Cell(text="1", notes=("tuned", "red"))]]
    notes = Footnotes(rows)
    assert notes.all() == [(1, "red"), (2, "failed"), (3, "tuned")]
    assert [notes.marks(cell) for cell in rows[1]] == [[1], [3, 1]]


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(ValueError, match="got a row of 1 cells, expected 2"):
        SummaryTable("t", "T", "c", (Column("a", "a"), Column("b", "b")), ((words("x"),),))


def test_a_table_is_split_by_data() -> None:
    table = SummaryTable(
        "t", "T", "c", (Column("dataset", "data"), Column("b", "b")),
        ((words("one"), words("1")), (words("two"), words("2")), (words(""), words("every case"))), ("remark",),
    )  # fmt: skip
    first, second = table.apart("dataset")
    assert (first.title, len(first.rows), first.remarks) == ("T: one", 1, ())
    assert (second.title, len(second.rows), second.remarks) == ("T: two", 2, ("remark",))
    assert [column.key for column in first.columns] == ["b"]
