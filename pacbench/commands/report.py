"""`pacbench report`: tables on the terminal and the report's files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pacbench.frame import Run, read_run
from pacbench.running.exit_code import exit_code
from pacbench.running.probes import RunError


def report(folder: Path, output: Path | None, *, panels: bool = True) -> int:
    """Tell a run folder again, with or without its pictures; the exit code is the run's own."""
    run = read_run(folder)
    return max(exit_code(run), write_report(run, output or folder / "report", panels=panels))


def write_report(run: Run, output: Path, *, panels: bool = True) -> int:
    """Print a run's tables, write its report and print the paths; 1 if a file of the run cannot be read."""
    from pacbench import reports
    from pacbench.reports.terminal import print_tables

    console = Console()
    print_tables(run, console)
    try:
        paths = reports.write(run, output, panels=panels)
    except OSError as error:
        raise RunError(f"{error.filename or output}: cannot be written ({error.strerror or error})") from error
    for path in paths:
        if path.parent == output:
            console.print(str(path), highlight=False, markup=False, soft_wrap=True)
    return int(bool(run.problems))
