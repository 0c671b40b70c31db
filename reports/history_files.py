"""A history told: a table with every change of level, a page, and a trend plot per case and machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pacbench.comparing.history import Series

from .csv_files import table_csv
from .history_page import history_page
from .history_table import Told, history_table
from .markdown import markdown_table
from .plots import draw
from .trends import trend_figure
from .whole_file import write_whole


def write_history(told: Told, folder: Path, problems: Sequence[str] = ()) -> list[Path]:
    """Write ``history.md``, ``history.csv``, ``index.html`` and one plot for each series.

    Raises:
        OSError: the folder or a file in it cannot be written.
    """
    table = history_table(told, problems)
    figures = [trend_figure(line, changes, plot_name(line)) for line, changes in told if line.medians_s]
    plots = {f"plots/{figure.name}.png": draw(figure) for figure in figures}
    text = "\n\n".join([*markdown_table(table), *(f"![trend]({name})" for name in plots)]) + "\n"
    contents = {
        "history.md": text.encode("utf-8", "backslashreplace"),
        "history.csv": table_csv(table).encode("utf-8", "backslashreplace"),
        "index.html": history_page(told, table, figures, problems).encode("utf-8", "backslashreplace"),
    }
    return [write_whole(folder / name, content) for name, content in (contents | plots).items()]


def plot_name(line: Series) -> str:
    """File name of a series' plot: readable, and of this series alone."""
    whole = "-".join((line.suite, line.backend, line.case, line.profile, line.machine))
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", f"{line.suite}-{line.backend}-{line.case.partition('::')[2] or line.case}")
    return f"{plain.strip('-')[:80]}-{digest}"
