"""A history told: a table with every change of level, a page, and a trend plot per case and machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pacbench.comparing.kernel_trends import KernelTrend

from .csv_files import table_csv
from .history_page import history_page
from .history_table import Told, history_table
from .kernel_trends import kernel_figures, kernel_table
from .markdown import markdown_table
from .plots import draw, draw_stacked
from .trends import plot_name, trend_figure
from .whole_file import write_whole


def write_history(
    told: Told, folder: Path, problems: Sequence[str] = (), kernels: Sequence[KernelTrend] = ()
) -> list[Path]:
    """Write ``history.md``, ``history.csv``, ``index.html`` and one plot for each series.

    Of GPU kernels, where a run has their budget, ``kernels.csv`` and a plot for each that changed.

    Raises:
        OSError: the folder or a file in it cannot be written.
    """
    table, kernel_rows = history_table(told, problems), kernel_table(kernels)
    tables = [table] if kernel_rows is None else [table, kernel_rows]
    figures = [trend_figure(line, changes, plot_name(line)) for line, changes in told if line.medians_s]
    plots = {f"plots/{figure.name}.png": draw(figure) for figure in figures}
    pictures = {f"plots/{name}.png": draw_stacked(stack) for name, stack in kernel_figures(kernels).items()}
    blocks = [*markdown_table(table), *(f"![trend]({name})" for name in plots)]
    if kernel_rows is not None:
        blocks += [*markdown_table(kernel_rows), *(f"![kernels]({name})" for name in pictures)]
    texts = {
        "history.md": "\n\n".join(blocks) + "\n",
        **{f"{each.name}.csv": table_csv(each) for each in tables},
        "index.html": history_page(told, tables, figures, problems),
    }
    contents = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    return [write_whole(folder / name, content) for name, content in (contents | plots | pictures).items()]
