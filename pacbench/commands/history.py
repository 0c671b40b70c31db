"""`pacbench history`: runs over time, and what changed for good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pacbench.comparing.change_points import ChangePoint, change_points
from pacbench.comparing.history import (
    HistoryEntry,
    HistoryError,
    Series,
    add,
    entry_of,
    read,
    read_budgets,
    series,
)
from pacbench.comparing.installed_budgets import budget_files, committed_budgets
from pacbench.comparing.kernel_trends import KernelTrend, kernel_trends
from pacbench.comparing.verdicts import LEAST_RATIO
from pacbench.frame import read_run
from pacbench.measuring.package_hash import package_hash
from pacbench.resources import ResourceBudget, read_budget
from pacbench.running.probes import RunError

from .checks import WrongUse
from .table_console import table_console

_UNKNOWN = "unknown"
_MOST_KERNELS = 20
"""Rows on the terminal; the files hold all."""


def history(folder: Path, run: Path | None, commit: str | None, *, fail_on_regression: bool, recent: int) -> int:
    """Add a run, then tell the history of the folder: table, Markdown, CSV and plots.

    Args:
        folder: The history; its report goes to ``folder/report``.
        run: Folder of a run to add; None for none.
        commit: What the run measured; None for the commit of the working directory's repository.
        fail_on_regression: Whether a regression is an exit code.
        recent: How many of the newest runs, on whatever machine, a regression must have begun in to count.

    Returns:
        0; 1 if a file cannot be read or, with `fail_on_regression`, if a case became slower in one of the `recent`
        newest runs and its newest level still is, a GPU kernel takes more by its budget since one of them, or a case
        of the newest run failed. A case that the newest run of its machine and profile does not have is not slower.

    Raises:
        WrongUse: there is no history, or the run is in it already.
        BudgetError: a resource budget to be added cannot be read.
    """
    from pacbench.reports.history_files import write_history
    from pacbench.reports.history_table import history_table
    from pacbench.reports.kernel_trends import kernel_table
    from pacbench.reports.terminal import rendered

    console = table_console()
    try:
        if run is not None:
            found = read_run(run)
            revision = found.settings.revision if found.settings is not None else None
            entry = entry_of(found, *_commit(commit, revision))
            budgets = _budgets(entry)
            path = add(folder, entry, budgets)
            beside = f"with the resource budgets of {', '.join(budgets)}" if budgets else "without resource budgets"
            console.print(f"added {path}, {beside}", highlight=False, markup=False, soft_wrap=True)
        entries, problems = read(folder)
    except HistoryError as error:
        raise WrongUse(str(error)) from error
    budgets_by_name, unread = read_budgets(folder, entries)
    problems += unread
    told = [(line, change_points(line.logs)) for line in series(entries)]
    kernels = kernel_trends(entries, budgets_by_name)
    for table in (history_table(told, problems), kernel_table(kernels, _MOST_KERNELS)):
        if table is not None:
            console.print(rendered(table))
    try:
        paths = write_history(told, folder / "report", problems, kernels)
    except OSError as error:
        raise RunError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error
    console.print(str(paths[0]), highlight=False, markup=False, soft_wrap=True)
    bad = [sentence for line, changes in told if (sentence := _regression(line, changes, entries, recent))]
    bad += _take_more(kernels, recent)
    for sentence in bad:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    return int(bool(problems) or (fail_on_regression and bool(bad)))


def _regression(line: Series, changes: list[ChangePoint], entries: list[HistoryEntry], recent: int) -> str | None:
    name = f"{line.suite} {line.case} {line.backend} on {line.machine}"
    last = [*line.entries[-1:], *(trouble.entry for trouble in line.troubles[-1:])]
    for trouble in line.troubles:
        if trouble.failed and trouble.entry is entries[-1]:
            return f"failed: {name}: {trouble.why}"
    alike = [entry for entry in entries if (entry.machine, entry.profile) == (line.machine, line.profile)]
    if alike[-1] not in last:  # nobody measures it any more
        return None
    ratio = 1.0  # of the newest level and that before a change: a smaller change for the better since hides nothing
    for change in reversed(changes):
        ratio *= change.ratio
        if change.slower and ratio >= LEAST_RATIO and line.entries[change.place] in entries[-recent:]:
            entry = line.entries[change.place]
            return f"slower: {name}: {100 * (ratio - 1):+.1f} % since commit {entry.commit[:12]} ({entry.subject})"
    return None


def _take_more(trends: list[KernelTrend], recent: int) -> list[str]:
    """A sentence for each backend and commit since which kernels of the newest budget take more."""
    groups: dict[tuple[str, str], list[str]] = {}
    for trend in trends:
        if (change := trend.growth(recent)) is not None:
            entry = trend.entries[change.place]
            since = f"since commit {entry.commit[:12]} ({entry.subject})"
            groups.setdefault((trend.backend, since), []).append(f"{trend.name}: {change.text}")
    return [
        f"takes more: {backend} {first}, " + (f"and {len(others)} other kernels, " if others else "") + since
        for (backend, since), (first, *others) in groups.items()
    ]


def _budgets(entry: HistoryEntry) -> dict[str, ResourceBudget]:
    """The resource budgets of what was measured, by backend.

    They are those of the commit, where the repository of the working directory holds it; of a backend that has none
    there, the installed one, if the installed package is what was measured.
    """
    files = budget_files(sys.executable)
    found = committed_budgets(Path.cwd(), entry.commit, files)
    if entry.environment.package_hash == package_hash():
        found |= {name: read_budget(path) for name, path in files.items() if name not in found}
    return found


def _commit(asked: str | None, revision: str | None) -> tuple[str, str]:
    """Hash and subject: of the commit named, of the run's own revision, else of the working directory's repository."""
    if asked is None and revision is not None:
        commit, _, subject = revision.partition(" ")
        return commit, subject.strip("()")
    words = ["git", "log", "-1", "--format=%H%x00%s", f"{asked or 'HEAD'}^{{commit}}", "--"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 (no shell)
    except (OSError, subprocess.CalledProcessError):
        return asked or _UNKNOWN, ""
    commit, _, subject = done.stdout.strip().partition("\0")
    return commit, subject
