"""A history as one HTML page: its table, and the trend of every case and machine."""

from __future__ import annotations

from collections.abc import Sequence

from .cells import SummaryTable
from .figures import Figure
from .history_table import Told
from .html_document import Document, html

MOST_TRENDS = 60
"""The page draws so many trends at most, those that changed first, and says so; every trend is a picture file."""


def history_page(
    told: Told, tables: Sequence[SummaryTable], trends: Sequence[Figure], problems: Sequence[str] = ()
) -> str:
    """The whole page as HTML text."""
    changed_first = sorted(trends, key=lambda figure: not figure.changes)
    return html(
        Document(
            title="pacbench history",
            facts=_facts(told),
            tables=tables,
            problems=problems,
            figures=changed_first[:MOST_TRENDS],
            plots_left_out=_left_out(len(trends) - MOST_TRENDS),
        )
    )


def _left_out(count: int) -> str:
    if count <= 0:
        return ""
    return f"{count} more trends are in the folder plots beside this page; those that changed are shown first."


def _facts(told: Told) -> list[tuple[str, str]]:
    entries = [entry for line, _ in told for entry in (*line.entries, *(one.entry for one in line.troubles))]
    runs = sorted({id(entry): entry for entry in entries}.values(), key=lambda entry: entry.moment)
    machines = dict.fromkeys(line.machine for line, _ in told)
    return [
        ("runs", str(len(runs))),
        ("from", f"{runs[0].at} to {runs[-1].at}" if runs else "no run"),
        ("machines", "; ".join(machines) or "none"),
    ]
