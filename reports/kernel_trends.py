"""The GPU kernels of a history told: a table of those whose budget changed, and plots of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pacbench.comparing.history import HistoryEntry
from pacbench.comparing.kernel_trends import KernelChange, KernelTrend
from pacbench.resources import ResourceRecord

from .cells import Cell, Column, Row, SummaryTable, words
from .escaping import one_line
from .figures import Change, Figure, Point
from .trends import COMMIT_LETTERS, file_name, run_name

COLUMNS = (
    Column("backend", "backend", numeric=False),
    Column("kernel", "kernel", numeric=False),
    Column("runs", "runs", where="documents"),
    Column("registers", "registers"),
    Column("spilled_bytes", "spilled bytes"),
    Column("instructions", "instructions"),
    Column("verdict", "takes", numeric=False),
    Column("change", "last change", numeric=False),
    Column("change_commit", "at commit", numeric=False),
    Column("changes", "all changes", numeric=False, where="documents"),
)
_TAKEN: dict[str, Callable[[ResourceRecord], int]] = {
    "registers": lambda record: record.registers,
    "spilled bytes": lambda record: record.spilled_bytes,
    "instructions": lambda record: record.instructions.get("total", 0),
}
"""What is drawn and shown of a kernel, by name."""


def kernel_table(trends: Sequence[KernelTrend], most: int | None = None) -> SummaryTable | None:
    """One row for each kernel whose budget changed, those that take more first; None where no run has a budget.

    Args:
        trends: All kernels.
        most: How many rows to show; None for all. What is left out is counted.
    """
    if not trends:
        return None
    changed = sorted((trend for trend in trends if trend.changes), key=lambda trend: not trend.changes[-1].worse)
    shown = changed[:most]
    left = [f"{len(changed) - len(shown)} more stand in kernels.csv."] if len(changed) > len(shown) else []
    return SummaryTable(
        name="kernels",
        title="GPU kernels",
        caption="What compiled kernels take by the committed resource budgets, where that changed; nothing is run.",
        columns=COLUMNS,
        rows=tuple(_row(trend) for trend in shown),
        remarks=(*left, *(_of_backend(name, trends) for name in dict.fromkeys(trend.backend for trend in trends))),
        nothing="No kernel takes anything else than in the first run.",
    )


def kernel_figures(trends: Sequence[KernelTrend]) -> dict[str, list[Figure]]:
    """For each kernel that changed what its variants and targets that did take: a trend for each of `_TAKEN`."""
    groups: dict[tuple[str, str], list[KernelTrend]] = {}
    for trend in trends:
        if trend.changes:
            groups.setdefault((trend.backend, trend.records[-1].kernel), []).append(trend)
    return {file_name("-".join(("kernel", *key)), *key): _figures(*key, group) for key, group in groups.items()}


def _of_backend(backend: str, trends: Sequence[KernelTrend]) -> str:
    mine = [trend for trend in trends if trend.backend == backend]
    runs = {id(entry) for trend in mine for entry in trend.entries}
    changed, gone = sum(bool(trend.changes) for trend in mine), sum(trend.gone for trend in mine)
    left = f", {gone} of them in the newest no more" if gone else ""
    return f"{backend}: {len(mine)} kernels in the budgets of {len(runs)} runs{left}; {changed} changed."


def _row(trend: KernelTrend) -> Row:
    last = trend.changes[-1]
    return (
        words(trend.backend),
        words(trend.name, "the newest budget has it no more" if trend.gone else None),
        _count(len(trend.records)),
        *(_count(of(trend.records[-1])) for of in _TAKEN.values()),
        words("more" if last.worse else "less"),
        words(last.text),
        words(trend.entries[last.place].commit[:12]),
        words("; ".join(_said(trend, change) for change in trend.changes)),
    )


def _count(value: int) -> Cell:
    return Cell(text=str(value), value=float(value))


def _said(trend: KernelTrend, change: KernelChange) -> str:
    entry = trend.entries[change.place]
    return f"{change.text} at {entry.commit[:12]} ({entry.subject})"


def _figures(backend: str, kernel: str, trends: Sequence[KernelTrend]) -> list[Figure]:
    entries = {id(entry): entry for trend in trends for entry in trend.entries}
    place = {key: float(number) for number, key in enumerate(sorted(entries, key=lambda key: entries[key].moment))}
    changes = tuple(
        Change(place[id(entry)] - 0.5, entry.commit[:COMMIT_LETTERS], worse)
        for entry, worse in _marked(trends).values()
    )
    return [
        Figure(
            name=file_name("-".join(("kernel", backend, kernel, taken)), backend, kernel, taken),
            title=f"{backend}: {kernel}" if number == 0 else "",
            kind="trend",
            x_title="",
            y_title=taken,
            points=tuple(
                Point(run_name(entry), _variant(record), place[id(entry)], float(of(record)))
                for trend in trends
                for entry, record in zip(trend.entries, trend.records, strict=True)
            ),
            changes=changes,
        )
        for number, (taken, of) in enumerate(_TAKEN.items())
    ]


def _variant(record: ResourceRecord) -> str:
    return one_line(f"{record.target} {record.variant}")


def _marked(trends: Sequence[KernelTrend]) -> dict[int, tuple[HistoryEntry, bool]]:
    """Every run at which one of them changed, and whether one takes more since."""
    found: dict[int, tuple[HistoryEntry, bool]] = {}
    for trend in trends:
        for change in trend.changes:
            entry = trend.entries[change.place]
            found[id(entry)] = (entry, change.worse or found.get(id(entry), (entry, False))[1])
    return found
