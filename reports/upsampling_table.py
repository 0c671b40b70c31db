"""The joint upsampling table: methods × factors × backends, with RMSE, time and memory."""

from __future__ import annotations

import re

from pacbench.frame import Run

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, words
from .measurements import Measurement, baseline_backend, bracket_words, measurements
from .row_cells import (
    EVERY_CASE,
    base_remark,
    columns_for,
    grouped,
    memory_cell,
    metric_cell,
    notes_cell,
    ratio_cell,
    spread_cells,
    status_cell,
    time_cell,
)

COLUMNS = (
    Column("dataset", "data", numeric=False),
    Column("factor", "factor"),
    Column("method", "method", numeric=False),
    Column("backend", "backend", numeric=False),
    Column("rmse", "RMSE"),
    Column("time_ms", "time ms"),
    Column("ratio_to_baseline", "/ base"),
    Column("peak_memory_mb", "memory MB"),
    Column("spread_percent", "spread %", where="documents"),
    Column("samples", "samples", where="data"),
    Column("status", "status", numeric=False),
    Column("tuning", "parameters and notes", numeric=False, where="documents"),
)
_FACTOR = re.compile(r"(?:x|factor_?)?(\d+)x?")


def upsampling_table(run: Run, suite: str = "joint_upsampling") -> SummaryTable:
    """RMSE, time and memory of every method at every factor, by backend."""
    base = baseline_backend(run)
    by_factor: dict[str, list[Measurement]] = {}
    for measured in measurements(run, suite):
        by_factor.setdefault(factor_of(measured), []).append(measured)
    rows: list[Row] = []
    for factor in sorted(by_factor, key=lambda text: (not text, int(text or 0))):
        groups = grouped(run, by_factor[factor])
        for (dataset, method, backend), group in groups.items():
            everything = list(group.values())
            quality = next((found for found in everything if found.metric("rmse") is not None), group.get("quality"))
            total = group.get("total")
            base_total = groups.get((dataset, method, base or ""), {}).get("total")
            rows.append(
                (
                    words(dataset),
                    _factor_cell(factor, method),
                    words(method),
                    words(backend),
                    metric_cell(quality, "rmse", "RMSE", written.significant, everything),
                    time_cell(total, "time", everything),
                    ratio_cell(total, base_total, f"time of {method} by {base}", everything),
                    memory_cell(total, everything),
                    *spread_cells(total, everything),
                    status_cell(everything),
                    notes_cell(everything),
                )
            )
    rows.sort(key=lambda row: row[2].text == EVERY_CASE)
    datasets = list(dict.fromkeys(row[0].text for row in rows if row[2].text != EVERY_CASE))
    rows.sort(key=lambda row: datasets.index(row[0].text) if row[0].text in datasets else len(datasets))
    return SummaryTable(
        name=suite,
        title="Joint upsampling",
        caption="Error against the full-resolution truth and cost of each method, times in ms for one image.",
        columns=columns_for(run, COLUMNS),
        rows=tuple(rows),
        remarks=(
            "RMSE: in the unit of the data (disparity in pixels, depth in its own unit); lower is better.",
            *base_remark(run, "time divided by that of", "for the same method, factor and data"),
        ),
    )


def factor_of(measured: Measurement) -> str:
    """The upsampling factor as whole-number text, from the record or from the case's name; empty if unknown."""
    for found in (measured.metrics, measured.parameters):
        if "factor" in found:
            return str(int(found["factor"]))
    for word in bracket_words(measured.case):
        fitting = _FACTOR.fullmatch(word)
        if fitting:
            return fitting.group(1)
    return ""


def _factor_cell(factor: str, method: str) -> Cell:
    if factor:
        return Cell(text=factor, value=float(factor))
    return empty("the job ended before it named its cases" if method == EVERY_CASE else "the record names no factor")
