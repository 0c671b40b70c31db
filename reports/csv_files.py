"""CSV: the whole tidy frame, and each summary table with full digits and every reason."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from pacbench.frame import Run

from .cells import SummaryTable
from .escaping import for_csv
from .measurements import rows_of, told_frame


def frame_csv(run: Run) -> str:
    """Every row of the run's tidy frame, without numbers on a red gate; lists and dictionaries as JSON."""
    frame = told_frame(run)
    rows = [{name: _value(value) for name, value in row.items()} for row in rows_of(frame)]
    return pd.DataFrame(rows, columns=list(frame.columns), dtype=object).to_csv(index=False, lineterminator="\n")


def table_csv(table: SummaryTable) -> str:
    """A summary table: numbers with all their digits, an empty field where there is none, reasons in the last."""
    rows = []
    for row in table.rows:
        values = {
            column.key: for_csv(cell.value) if isinstance(cell.value, str) else cell.value
            for column, cell in zip(table.columns, row, strict=True)
        }
        reasons: dict[str, list[str]] = {}
        for column, cell in zip(table.columns, row, strict=True):
            if cell.reason:
                reasons.setdefault(cell.reason, []).append(column.key)
        values["reasons"] = for_csv("; ".join(f"{', '.join(keys)}: {why}" for why, keys in reasons.items())) or None
        rows.append(values)
    columns = [*(column.key for column in table.columns), "reasons"]
    return pd.DataFrame(rows, columns=columns, dtype=object).to_csv(index=False, lineterminator="\n")


def _value(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value) if value else None
    return for_csv(value) if isinstance(value, str) else value
