"""LaTeX and JSON: what stands in the other formats stands there, and nothing of it is read as a command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pacbench.frame import Run
from pacbench.reports import write
from pacbench.reports.cells import Cell, Column, SummaryTable, empty, words
from pacbench.reports.latex import for_latex, latex_table
from pacbench.reports.tables import summary_tables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"50 % & $x_1$ #{a} \input{y}", r"50 \% \& \$x\_1\$ \#\{a\} \textbackslash{}input\{y\}"),
        ("a~b^c <d> |e|", r"a\textasciitilde{}b\textasciicircum{}c \textless{}d\textgreater{} \textbar{}e\textbar{}"),
        ("\N{MINUS SIGN}0.10 ± 3 \N{MULTIPLICATION SIGN} 5\nnext", r"$-$0.10 $\pm$ 3 $\times$ 5 next"),
    ],
)
def test_text_is_text(text: str, expected: str) -> None:
    assert for_latex(text) == expected


def test_a_table_has_rules_alignment_and_every_reason() -> None:
    table = SummaryTable(
        name="crf", title="CRF", caption="100 % real.", remarks=("A remark & more.",),
        columns=(Column("m", "method", numeric=False), Column("t", "time ms"), Column("d", "data", where="data")),
        rows=((words("a_b"), Cell(text="1.2", value=1.2), words("hidden")), (words("c"), empty("no 5 %"), words("x"))),
    )  # fmt: skip
    text = latex_table(table)
    assert r"\begin{tabular}{lr}" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"a\_b & 1.2 \\" in text
    assert r"c & --\textsuperscript{1} \\" in text
    assert r"\textsuperscript{1} no 5 \%" in text
    assert r"A remark \& more." in text
    assert r"\caption{CRF. 100 \% real.}" in text
    assert "hidden" not in text


def test_every_suite_has_its_table(several: Run, tmp_path: Path) -> None:
    write(several, tmp_path)
    text = (tmp_path / "report.tex").read_text()
    tables = [table for table in summary_tables(several) if table.rows]
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(tables) >= 3
    for line in re.findall(r"^(.*) \\\\$", text, re.MULTILINE):
        assert not re.search(r"(?<!\\)[#%_]", line), line
    data = json.loads((tmp_path / "report.json").read_text())
    assert list(data["tables"]) == [table.name for table in summary_tables(several)]
    for table in summary_tables(several):
        rows = data["tables"][table.name]["rows"]
        assert len(rows) == len(table.rows)
        for row, cells in zip(rows, table.rows, strict=True):
            for column, cell in zip(table.columns, cells, strict=True):
                assert row[column.key].get("reason") == cell.reason
                if isinstance(cell.value, float):
                    assert row[column.key]["value"] == cell.value
    assert set(data["gates"]) == set(several.gate)
