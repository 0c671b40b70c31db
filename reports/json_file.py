"""The tables of a report as JSON, for programs: full digits, and the reason behind every empty cell."""

from __future__ import annotations

import json
import math
from typing import Any

from pacbench.frame import Run

from .cells import SummaryTable
from .escaping import plain

VERSION = 1


def report_json(run: Run, tables: list[SummaryTable]) -> str:
    """Settings, environment, gates, problems, and every table by its name."""
    whole = {
        "version": VERSION,
        "settings": run.settings.model_dump() if run.settings is not None else None,
        "environment": run.environment.model_dump() if run.environment is not None else None,
        "gates": {
            backend: {"green": state.green, "reason": state.reason, "passed": state.passed, "total": state.total}
            for backend, state in run.gate.items()
        },
        "problems": list(run.problems),
        "tables": {table.name: _table(table) for table in tables},
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _table(table: SummaryTable) -> dict[str, Any]:
    return {
        "title": table.title,
        "caption": table.caption,
        "remarks": list(table.remarks),
        "columns": {column.key: column.title for column in table.columns},
        "rows": [
            {
                column.key: {"value": _value(cell.value)}
                | ({"reason": plain(cell.reason)} if cell.reason else {})
                | ({"notes": [plain(note) for note in cell.notes]} if cell.notes else {})
                for column, cell in zip(table.columns, row, strict=True)
            }
            for row in table.rows
        ],
    }


def _value(value: float | str | None) -> float | str | None:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, str):
        return plain(value)
    return value if value is None or math.isfinite(value) else None
