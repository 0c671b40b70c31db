"""`pacbench history`: runs over time, and what changed for good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from pacbench.comparing.change_points import ChangePoint, change_points
from pacbench.comparing.history import HistoryEntry, HistoryError, Series, add, entry_of, read, series
from pacbench.frame import read_run
from pacbench.running.probes import RunError

from .checks import WrongUse

_WIDTH = 160
_UNKNOWN = "unknown"


def history(folder: Path, run: Path | None, commit: str | None, *, fail_on_regression: bool, recent: int) -> int:
    """Add a run, then tell the history of the folder: table, Markdown, CSV and plots.

    Args:
        folder: The history; its report goes to ``folder/report``.
        run: Folder of a run to add; None for none.
        commit: What the run measured; None for the commit of the working directory's repository.
        fail_on_regression: Whether a regression is an exit code.
        recent: How many of the newest runs a regression must have begun in to count.

    Returns:
        0; 1 if a file cannot be read or, with `fail_on_regression`, if the newest level of a case is slower than the
        one before it since one of the `recent` newest runs, or the newest run has a case that did not pass.

    Raises:
        WrongUse: there is no history, or the run is in it already.
    """
    from pacbench.reports.history_files import write_history
    from pacbench.reports.history_table import history_table
    from pacbench.reports.terminal import rendered

    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        if run is not None:
            found = read_run(run)
            revision = found.settings.revision if found.settings is not None else None
            path = add(folder, entry_of(found, *_commit(commit, revision)))
            console.print(f"added {path}", highlight=False, markup=False, soft_wrap=True)
        entries, problems = read(folder)
    except HistoryError as error:
        raise WrongUse(str(error)) from error
    told = [(line, change_points(line.logs)) for line in series(entries)]
    console.print(rendered(history_table(told, problems)))
    try:
        paths = write_history(told, folder / "report", problems)
    except OSError as error:
        raise RunError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error
    console.print(str(paths[0]), highlight=False, markup=False, soft_wrap=True)
    bad = [sentence for line, changes in told if (sentence := _regression(line, changes, entries, recent))]
    for sentence in bad:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    return int(bool(problems) or (fail_on_regression and bool(bad)))


def _regression(line: Series, changes: list[ChangePoint], entries: list[HistoryEntry], recent: int) -> str | None:
    name = f"{line.suite} {line.case} {line.backend} on {line.machine}"
    newest = [entry for entry in entries if entry.machine == line.machine][-1:]
    for entry, trouble in line.troubles:
        if entry in newest:
            return f"failed: {name}: {trouble}"
    last = changes[-1] if changes else None
    if last is None or not last.slower or last.place < len(line.entries) - recent:
        return None
    entry = line.entries[last.place]
    return f"slower: {name}: {100 * (last.ratio - 1):+.1f} % since commit {entry.commit[:12]} ({entry.subject})"


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
