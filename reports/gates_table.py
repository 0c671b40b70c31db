"""The table that stands before all others: is each backend right?"""

from __future__ import annotations

from pacbench.frame import Run

from .cells import Cell, Column, Row, SummaryTable, words
from .measurements import backend_order, gate_word

COLUMNS = (
    Column("backend", "backend", numeric=False),
    Column("gate", "gate", numeric=False),
    Column("cases", "cases"),
    Column("passed", "passed"),
    Column("failed", "not passed"),
    Column("skipped", "skipped"),
)


def gates_table(run: Run, suite: str = "gradients") -> SummaryTable:
    """One row per backend: the state of its correctness gate and how its cases ended."""
    rows: list[Row] = []
    for backend in backend_order(run):
        state = run.gate.get(backend)
        if state is None:
            continue
        counts = (state.total, state.passed, state.failed, state.skipped)
        rows.append(
            (
                words(backend),
                words(gate_word(run, backend), state.reason),
                *(Cell(text=str(count), value=float(count)) for count in counts),
            )
        )
    return SummaryTable(
        name=suite,
        title="Correctness gate",
        caption="State of each backend's gate: no number is shown of a backend whose gate is not green.",
        columns=COLUMNS,
        rows=tuple(rows),
    )
