"""Plots over the runs of a history: the times of a case on one machine, and what they share with others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from pacbench.comparing.change_points import ChangePoint
from pacbench.comparing.history import HistoryEntry, Series

from .escaping import one_line
from .figures import Change, Figure, Point

COMMIT_LETTERS = 8


def trend_figure(line: Series, changes: Sequence[ChangePoint], name: str) -> Figure:
    """Medians by run, oldest first, with a line and the commit at each lasting change of level."""
    return Figure(
        name=name,
        title=one_line(f"{line.backend}: {_short(line)}, {line.machine}"),
        kind="trend",
        x_title="",
        y_title="ms",
        points=tuple(
            Point(run_name(entry), line.backend, float(place), 1e3 * median)
            for place, (entry, median) in enumerate(zip(line.entries, line.medians_s, strict=True))
        ),
        changes=tuple(
            Change(
                change.place - 0.5,
                f"{100 * (change.ratio - 1):+.0f} % at {line.entries[change.place].commit[:COMMIT_LETTERS]}",
                change.slower,
            )
            for change in changes
        ),
    )


def plot_name(line: Series) -> str:
    """File name of a series' plot."""
    readable = f"{line.suite}-{line.backend}-{_short(line)}"
    return file_name(readable, line.suite, line.backend, line.case, line.profile, line.machine)


def file_name(readable: str, *parts: str) -> str:
    """A name that a person can read, and that no other parts share."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:6]
    return f"{re.sub(r'[^A-Za-z0-9_]+', '-', readable).strip('-')[:80]}-{digest}"


def run_name(entry: HistoryEntry) -> str:
    """A run in one line, its commit first."""
    return f"{entry.commit[:COMMIT_LETTERS]} {entry.subject} ({entry.at[:10]})"


def _short(line: Series) -> str:
    return line.case.partition("::")[2] or line.case
