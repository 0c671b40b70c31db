"""The GPU kernels of a history told: a table of those whose budget changed, and a plot of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from pacbench.comparing.history import HistoryEntry
from pacbench.comparing.kernel_trends import KernelChange, KernelTrend

from .cells import Cell, Column, Row, SummaryTable, words
from .escaping import one_line
from .trend_canvas import canvas, literal, mark_change, name_commits, png

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
_LEGEND = 12


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


def kernel_plots(trends: Sequence[KernelTrend]) -> dict[str, bytes]:
    """By file name, a PNG for each kernel that changed: its variants and targets that did, over the runs."""
    groups: dict[tuple[str, str], list[KernelTrend]] = {}
    for trend in trends:
        if trend.changes:
            groups.setdefault((trend.backend, trend.records[-1].kernel), []).append(trend)
    return {f"{_file_name(*key)}.png": _plot(*key, group) for key, group in groups.items()}


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
        *(_count(values[-1]) for values in _columns(trend).values()),
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


def _columns(trend: KernelTrend) -> dict[str, list[int]]:
    """What is drawn of a kernel, by the title of its panel: a value for each run."""
    return {
        "registers": [record.registers for record in trend.records],
        "spilled bytes": [record.spilled_bytes for record in trend.records],
        "instructions": [record.instructions.get("total", 0) for record in trend.records],
    }


def _plot(backend: str, kernel: str, trends: Sequence[KernelTrend]) -> bytes:
    """Three panels, one below the other, with a line for each variant and target that changed."""
    entries = list({id(entry): entry for trend in trends for entry in trend.entries}.values())
    entries.sort(key=lambda entry: entry.at)
    place = {id(entry): number for number, entry in enumerate(entries)}
    figure = canvas(6.4)
    panels = dict(zip(_columns(trends[0]), figure.subplots(3, sharex=True), strict=True))
    for trend in trends:
        for title, values in _columns(trend).items():
            label = one_line(f"{trend.records[-1].target} {trend.records[-1].variant}", 60)
            where = [place[id(entry)] for entry in trend.entries]
            panels[title].step(where, values, where="mid", marker="o", markersize=3, linewidth=1, label=literal(label))
    for entry, worse in _marked(trends).values():
        mark_change(panels["registers"], place[id(entry)], entry.commit[:8], worse=worse)
    for title, axes in panels.items():
        axes.set_ylabel(title, fontsize=8)
        highest = max(value for trend in trends for value in _columns(trend)[title])
        axes.set_ylim(0, 1.25 * max(1, highest))
    name_commits(panels["instructions"], entries)
    panels["registers"].set_title(literal(one_line(f"{backend}: {kernel}", 90)), fontsize=8)
    handles, labels = panels["registers"].get_legend_handles_labels()
    shown = labels[:_LEGEND] + ([f"and {len(labels) - _LEGEND} more"] if len(labels) > _LEGEND else [])
    figure.legend(handles[: len(shown)], shown, loc="outside lower center", ncols=2, fontsize=6)
    return png(figure)


def _marked(trends: Sequence[KernelTrend]) -> dict[int, tuple[HistoryEntry, bool]]:
    """Every run at which one of them changed, and whether one takes more since."""
    found: dict[int, tuple[HistoryEntry, bool]] = {}
    for trend in trends:
        for change in trend.changes:
            entry = trend.entries[change.place]
            found[id(entry)] = (entry, change.worse or found.get(id(entry), (entry, False))[1])
    return found


def _file_name(backend: str, kernel: str) -> str:
    """Readable, and of this kernel alone."""
    digest = hashlib.sha256(f"{backend}\0{kernel}".encode()).hexdigest()[:6]
    return f"kernel-{re.sub(r'[^A-Za-z0-9_]+', '-', f'{backend}-{kernel}').strip('-')[:80]}-{digest}"
