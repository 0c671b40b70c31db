"""What is told: the tables, plots and pages of a run, all made from its one tidy frame.

:func:`write` makes the files of a report; `pacbench.reports.terminal.terminal_tables` the tables of the terminal.
matplotlib, plotly and Jinja2 are imported only when something of theirs is made.
"""

from __future__ import annotations

import re
from pathlib import Path

from pacbench.frame import Run

from .whole_file import write_whole

__all__ = ["write"]


def write(run: Run, folder: Path, panels: bool = True) -> list[Path]:
    """Write the report of a run: Markdown, CSV, LaTeX, JSON, plots and a self-contained HTML page.

    Each file is written beside its place and moved there, so that a reader never meets half a file.

    Args:
        run: The run, as `pacbench.frame.read_run` gives it.
        folder: Where to; made if it is not there.
        panels: Whether the page may hold the run's example pictures (off where the data may not be passed on).

    Returns:
        The files, in the order of report.md, report.csv, report.tex, report.json, one CSV per suite, plots/*.png,
        index.html.

    Raises:
        OSError: the folder or a file in it cannot be written.
    """
    from .csv_files import frame_csv, table_csv
    from .figures import figures, machine_roof
    from .json_file import report_json
    from .latex import latex
    from .markdown import markdown
    from .page import page
    from .plots import draw
    from .tables import summary_tables

    folder = Path(folder)
    tables = summary_tables(run)
    plots = {
        f"plots/{_file_name(figure.name, set())}.png": draw(figure) for figure in figures(tables, machine_roof(run))
    }
    taken = {"report"}
    texts = {"report.md": markdown(run, tuple(plots)), "report.csv": frame_csv(run)}
    texts |= {"report.tex": latex(tables), "report.json": report_json(run, tables)}
    texts |= {f"{_file_name(table.name, taken)}.csv": table_csv(table) for table in tables}
    contents = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    contents |= plots
    contents["index.html"] = page(run, panels).encode("utf-8", "backslashreplace")
    return [write_whole(folder / name, content) for name, content in contents.items()]


def _file_name(name: str, taken: set[str]) -> str:
    """A file name of letters, digits, dash and underscore that is not yet in `taken`; it is added there."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "suite"
    number, found = 2, plain
    while found in taken:
        found, number = f"{plain}-{number}", number + 1
    taken.add(found)
    return found
