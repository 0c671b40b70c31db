"""A history told: a table with every change of level, and a trend plot per case and machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pacbench.comparing.change_points import ChangePoint
from pacbench.comparing.history import Series
from pacbench.comparing.kernel_trends import KernelTrend

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, number, words
from .csv_files import table_csv
from .escaping import one_line
from .kernel_trends import kernel_plots, kernel_table
from .markdown import markdown_table
from .trend_canvas import canvas, literal, mark_change, name_commits, png
from .whole_file import write_whole

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
    return SummaryTable(
        name="history",
        title="History",
        caption="The newest run's median, and the last lasting change of level of at least 3 % (positive is slower).",
        columns=COLUMNS,
        rows=tuple(_row(line, changes) for line, changes in told),
        remarks=(
            "A change takes two runs on each side; its commit is the first that was measured at the new level.",
            *(f"Problem: {problem}" for problem in problems),
        ),
    )


def write_history(
    told: Told, folder: Path, problems: Sequence[str] = (), kernels: Sequence[KernelTrend] = ()
) -> list[Path]:
    """Write ``history.md``, ``history.csv`` and one plot for each series; of GPU kernels ``kernels.csv`` and plots too.

    Raises:
        OSError: the folder or a file in it cannot be written.
    """
    table = history_table(told, problems)
    plots = {f"plots/{plot_name(line)}.png": trend_plot(line, changes) for line, changes in told if line.medians_s}
    blocks = [*markdown_table(table), *(f"![trend]({name})" for name in plots)]
    texts = {"history.csv": table_csv(table)}
    kernel_rows = kernel_table(kernels)
    if kernel_rows is not None:
        pictures = {f"plots/{name}": picture for name, picture in kernel_plots(kernels).items()}
        blocks += [*markdown_table(kernel_rows), *(f"![kernels]({name})" for name in pictures)]
        texts["kernels.csv"] = table_csv(kernel_rows)
        plots |= pictures
    texts = {"history.md": "\n\n".join(blocks) + "\n"} | texts
    contents = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    return [write_whole(folder / name, content) for name, content in (contents | plots).items()]


def plot_name(line: Series) -> str:
    """File name of a series' plot: readable, and of this series alone."""
    whole = "-".join((line.suite, line.backend, line.case, line.profile, line.machine))
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", f"{line.suite}-{line.backend}-{line.case.partition('::')[2] or line.case}")
    return f"{plain.strip('-')[:80]}-{digest}"


def trend_plot(line: Series, changes: Sequence[ChangePoint]) -> bytes:
    """A PNG: medians by run, levels, and a mark with the commit at each change."""
    times = [1e3 * value for value in line.medians_s]
    figure = canvas(3.2)
    axes = figure.add_subplot()
    axes.plot(range(len(times)), times, marker="o", markersize=4, linewidth=1)
    for change in changes:
        text = f"{line.entries[change.place].commit[:8]} {100 * (change.ratio - 1):+.0f} %"
        mark_change(axes, change.place, text, worse=change.slower)
    name_commits(axes, line.entries)
    axes.set_ylim(0, 1.2 * max(times))
    axes.set_ylabel("ms")
    title = one_line(f"{line.backend}: {line.case.partition('::')[2] or line.case}", 90)
    axes.set_title(literal(f"{title}\n{one_line(line.machine, 100)}"), fontsize=8)
    return png(figure)


def _row(line: Series, changes: Sequence[ChangePoint]) -> Row:
    newest = line.medians_s[-1] * 1e3 if line.medians_s else None
    why = line.troubles[-1][1] if line.troubles else "no run of it passed"
    notes = tuple(f"commit {entry.commit[:12]} has no number: {trouble}" for entry, trouble in line.troubles[-3:])
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
