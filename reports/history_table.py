"""The table of a history: the newest level of every case, and each lasting change of it."""

from __future__ import annotations

from collections.abc import Sequence

from pacbench.comparing.change_points import ChangePoint
from pacbench.comparing.history import HistoryEntry, Series

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, number, words

COLUMNS = (
    Column("machine", "machine", numeric=False, where="documents"),
    Column("suite", "suite", numeric=False, where="documents"),
    Column("case", "case", numeric=False),
    Column("backend", "backend", numeric=False),
    Column("runs", "runs"),
    Column("newest_ms", "newest ms"),
    Column("change_percent", "last change %"),
    Column("change_commit", "at commit", numeric=False),
    Column("changes", "all changes", numeric=False, where="documents"),
)
Told = Sequence[tuple[Series, list[ChangePoint]]]


def history_table(told: Told, problems: Sequence[str] = ()) -> SummaryTable:
    """One row for each series, its last change of level and the commit at which it was first seen."""
    newest: dict[tuple[str, ...], HistoryEntry] = {}
    for line, _ in told:
        newest[_family(line)] = max(line.newest, newest.get(_family(line), line.newest), key=lambda one: one.moment)
    return SummaryTable(
        name="history",
        title="History",
        caption="The newest run's median, and the last lasting change of level of at least 3 % (positive is slower).",
        columns=COLUMNS,
        rows=tuple(_row(line, changes, newest[_family(line)]) for line, changes in told),
        remarks=(
            "A change takes two runs on each side; its commit is the first that was measured at the new level.",
            *(f"Problem: {problem}" for problem in problems),
        ),
    )


def _family(line: Series) -> tuple[str, ...]:
    """What a run has of a series together with others."""
    return line.machine, line.suite, line.backend, line.profile


def _row(line: Series, changes: Sequence[ChangePoint], newest_run: HistoryEntry) -> Row:
    newest = line.medians_s[-1] * 1e3 if line.medians_s else None
    why = line.troubles[-1].why if line.troubles else "no run of it passed"
    notes = tuple(f"commit {one.entry.commit[:12]} has no number: {one.why}" for one in line.troubles[-3:])
    if line.newest is not newest_run:
        notes += (f"the newest run of this suite, of commit {newest_run.commit[:12]}, does not have the case",)
    last = changes[-1] if changes else None
    return (
        words(line.machine),
        words(line.suite),
        Cell(text=line.case.partition("::")[2] or line.case, value=line.case, notes=notes),
        words(line.backend),
        Cell(text=str(len(line.medians_s)), value=float(len(line.medians_s))),
        number(newest, written.significant, why),
        empty("no lasting change")
        if last is None
        else number(100 * (last.ratio - 1), lambda value: f"{value:+.1f}", ""),
        empty("no lasting change") if last is None else words(line.entries[last.place].commit[:12]),
        words("; ".join(_said(line, change) for change in changes) or "none"),
    )


def _said(line: Series, change: ChangePoint) -> str:
    entry = line.entries[change.place]
    return f"{100 * (change.ratio - 1):+.1f} % at {entry.commit[:12]} ({entry.subject})"
