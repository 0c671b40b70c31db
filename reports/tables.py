"""One summary table per suite of a run, and the list of everything that did not pass."""

from __future__ import annotations

from collections.abc import Callable

from pacbench.frame import Run

from .cells import Cell, Column, Row, SummaryTable, words
from .crf_table import crf_table
from .gates_table import gates_table
from .measurements import number_or_none, rows_of, suite_order, text_or_none, told_frame
from .operators_table import operators_table
from .other_table import other_table
from .row_cells import EVERY_CASE
from .swapping_table import swapping_table
from .upsampling_table import upsampling_table

GATE_SUITE = "gradients"
_TABLES: dict[str, Callable[[Run, str], SummaryTable]] = {
    "operators": operators_table,
    "crf": crf_table,
    "joint_upsampling": upsampling_table,
    "hot_swapping": swapping_table,
}


def summary_tables(run: Run) -> list[SummaryTable]:
    """The gate's table first, then one table for each suite that the run was asked for or holds rows of."""
    tables = [gates_table(run, GATE_SUITE)]
    for suite in suite_order(run):
        if suite != GATE_SUITE:
            tables.append(_TABLES.get(suite, other_table)(run, suite))
    return tables


def not_passed_table(run: Run) -> SummaryTable:
    """Every case of every suite and round that did not pass, with its reason: nothing vanishes."""
    rows: list[Row] = []
    for row in rows_of(told_frame(run)):
        if row["outcome"] == "passed":
            continue
        round_ = number_or_none(row["round"])
        rows.append(
            (
                words(str(row["suite"])),
                words(text_or_none(row["case"]) or EVERY_CASE),
                words(text_or_none(row["backend"]) or "no backend"),
                Cell() if round_ is None else Cell(text=str(int(round_)), value=round_),
                words(str(row["outcome"])),
                words(text_or_none(row["reason"]) or "no reason was recorded"),
            )
        )
    return SummaryTable(
        name="not_passed",
        title="What did not pass",
        caption="Every case that was skipped, failed, lost or withheld, by round, with its reason.",
        columns=(
            Column("suite", "suite", numeric=False),
            Column("case", "case", numeric=False),
            Column("backend", "backend", numeric=False),
            Column("round", "round"),
            Column("outcome", "outcome", numeric=False),
            Column("reason", "reason", numeric=False),
        ),
        rows=tuple(rows),
    )
