"""The plot of one case on one machine over time."""

from __future__ import annotations

from collections.abc import Sequence

from pacbench.comparing.change_points import ChangePoint
from pacbench.comparing.history import HistoryEntry, Series

from .escaping import one_line
from .figures import Change, Figure, Point

_COMMIT = 8


def trend_figure(line: Series, changes: Sequence[ChangePoint], name: str) -> Figure:
    """Medians by run, oldest first, with a line and the commit at each lasting change of level."""
    return Figure(
        name=name,
        title=one_line(f"{line.backend}: {line.case.partition('::')[2] or line.case}, {line.machine}"),
        kind="trend",
        x_title="",
        y_title="ms",
        points=tuple(
            Point(_run(entry), line.backend, float(place), 1e3 * median)
            for place, (entry, median) in enumerate(zip(line.entries, line.medians_s, strict=True))
        ),
        changes=tuple(
            Change(
                change.place - 0.5,
                f"{100 * (change.ratio - 1):+.0f} % at {line.entries[change.place].commit[:_COMMIT]}",
                change.slower,
            )
            for change in changes
        ),
    )


def _run(entry: HistoryEntry) -> str:
    return f"{entry.commit[:_COMMIT]} {entry.subject} ({entry.at[:10]})"
