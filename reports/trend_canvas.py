"""What all plots over the runs of a history share: a canvas, commits below it, marks at changes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacbench.comparing.history import HistoryEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def canvas(height: float) -> Figure:
    """An empty figure of that height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def name_commits(axes: Axes, entries: Sequence[HistoryEntry]) -> None:
    """Write the commit of each run below its place."""
    axes.set_xticks(range(len(entries)), [entry.commit[:8] for entry in entries], rotation=90, fontsize=6)


def mark_change(axes: Axes, place: int, text: str, *, worse: bool) -> None:
    """A line before the run of that place, red where it became worse, with a text at its top."""
    axes.axvline(place - 0.5, color="tab:red" if worse else "tab:green", linewidth=1)
    axes.annotate(
        text, (place - 0.5, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -10), textcoords="offset points",
        fontsize=7,
    )  # fmt: skip


def literal(text: str) -> str:
    """A text that holds no formula."""
    return text.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110)
    return target.getvalue()
