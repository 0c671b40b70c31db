"""`pacbench compare`: verdicts on NEW, with BASE as the baseline."""

from __future__ import annotations

import os
from pathlib import Path

from pacbench.comparing.calibration import calibration_remarks
from pacbench.comparing.comparison import Comparison, exit_code
from pacbench.comparing.comparison import compare as compare_sides
from pacbench.comparing.sides import SideError, read_sides
from pacbench.running.probes import RunError

from .checks import WrongUse
from .table_console import table_console


def compare(base: str, new: str, *, across_machines: bool, strict: bool, output: Path | None) -> int:
    """Compare two stored runs, or two backends of one; prints the table and writes the files.

    Args:
        base: ``RUN`` or ``RUN:backend``, the baseline.
        new: As `base`, what is judged.
        across_machines: Compare ratios to each run's own reference case.
        strict: Whether an ambiguous case gives exit code 3.
        output: Folder to write Markdown, CSV, JSON and JUnit XML to; None for none.

    Raises:
        WrongUse: a side names nothing, or the circumstances differ.
    """
    try:
        sides = read_sides(base, new)
        comparison = compare_sides(*sides, across_machines=across_machines)
    except SideError as error:
        raise WrongUse(str(error)) from error
    remarks = [*comparison.remarks, *calibration_remarks(comparison, *sides)]
    problems = [problem for side in sides for problem in side.run.problems]
    remarks += [f"Problem: {problem}" for problem in dict.fromkeys(problems)]
    comparison = comparison.model_copy(update={"remarks": remarks})
    code = tell(comparison, output, strict=strict)
    return 1 if problems else code


def tell(comparison: Comparison, output: Path | None, *, strict: bool) -> int:
    """Print a comparison, write its files where a folder is given, and return its exit code.

    On GitHub Actions it also goes into the step's summary, and what is slower or failed is annotated.
    """
    from pacbench.reports.comparison_files import comparison_markdown, write_comparison
    from pacbench.reports.comparison_table import comparison_table, resources_table
    from pacbench.reports.github_annotations import annotation_lines
    from pacbench.reports.terminal import rendered

    console = table_console()
    console.print(rendered(comparison_table(comparison)))
    if comparison.resources:
        console.print(rendered(resources_table(comparison)))
    for line in annotation_lines(comparison, strict=strict) if os.environ.get("GITHUB_ACTIONS") == "true" else ():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _append(Path(summary), comparison_markdown(comparison))
    if output is not None:
        try:
            paths = write_comparison(comparison, output, strict=strict)
        except OSError as error:
            raise RunError(f"{error.filename or output}: cannot be written ({error.strerror or error})") from error
        for path in paths:
            console.print(str(path), highlight=False, markup=False, soft_wrap=True)
    return exit_code(comparison, strict=strict)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
