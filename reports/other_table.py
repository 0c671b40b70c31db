"""The table of a suite that this version knows nothing special about: every case, its time and its metrics."""

from __future__ import annotations

from pacbench.frame import Run

from . import number_format as written
from .cells import Column, Row, SummaryTable, empty, number, words
from .measurements import measurements
from .row_cells import EVERY_CASE, memory_cell, missing, spread_cells, status_cell, time_cell


def other_table(run: Run, suite: str) -> SummaryTable:
    """Cases × backends with time, peak memory and each metric that any case recorded."""
    found = measurements(run, suite)
    names = list(dict.fromkeys(name for one in found for name in one.metrics))
    columns = (
        Column("case", "case", numeric=False),
        Column("backend", "backend", numeric=False),
        Column("time_ms", "time ms"),
        *(Column(f"metric_{name}", name) for name in names),
        Column("peak_memory_mb", "memory MB"),
        Column("spread_percent", "spread %", where="documents"),
        Column("samples", "samples", where="data"),
        Column("status", "status", numeric=False),
    )
    rows: list[Row] = []
    for one in found:
        values = [one.metrics.get(name) for name in names]
        rows.append(
            (
                words(one.case or EVERY_CASE),
                words(one.backend),
                time_cell(one, "time", [one]) if one.median_s is not None else empty(missing(one, "time", [one])),
                *(
                    number(value, written.significant, missing(one, name, [one]))
                    for name, value in zip(names, values, strict=True)
                ),
                memory_cell(one, [one]),
                *spread_cells(one, [one]),
                status_cell([one]),
            )
        )
    return SummaryTable(
        name=suite,
        title=suite.replace("_", " ").capitalize(),
        caption=f"Every case of the suite {suite}.",
        columns=columns,
        rows=tuple(rows),
    )
