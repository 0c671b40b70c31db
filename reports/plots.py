"""Plots as picture files, drawn by matplotlib without any display or global state."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from .escaping import one_line
from .figures import FEW_DECADES, PALETTE, Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

_INK = "#33383d"
_RULE = "#d9dcdf"
_LARGEST_HEIGHT = 120.0
_MOST_TICKS = 40
_MOST_NAMES = 12
_PANEL_HEIGHT = 2.4
_TITLE_WIDTH = 90
_WORSE, _BETTER = "#b34700", "#007a59"
MARKERS = "os^DvPX*<>"


def draw(figure: Figure, file_format: Literal["png", "svg"] = "png") -> bytes:
    """The figure as the bytes of a PNG (150 dpi) or SVG file."""
    rows = len(figure.labels) * 0.34 if figure.kind == "dots" else 0.0
    canvas = _canvas(min(_LARGEST_HEIGHT, max(4.2, 1.4 + rows)))
    _draw_on(canvas.add_subplot(), figure)
    return _file(canvas, file_format)


def draw_stacked(figures: Sequence[Figure]) -> bytes:
    """Trends of the same series over the same runs, one below the other, as the bytes of a PNG file (150 dpi)."""
    canvas = _canvas(_PANEL_HEIGHT * len(figures))
    panels = canvas.subplots(len(figures), sharex=True)
    for axes, figure in zip(panels, figures, strict=True):
        _draw_on(axes, figure)
    handles, names = panels[0].get_legend_handles_labels()
    left_out = len(names) - _MOST_NAMES
    shown = names[:_MOST_NAMES] + ([f"and {left_out} more"] if left_out > 0 else [])
    legend = canvas.legend(
        handles[: len(shown)], shown, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=_INK
    )
    for text in legend.get_texts():
        _words(text)
    return _file(canvas, "png")


def _canvas(height: float) -> Canvas:
    """An empty figure of that height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9.0, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas


def _draw_on(axes: Axes, figure: Figure) -> None:
    {"scatter": _scatter, "dots": _dots, "roofline": _roofline, "trend": _trend}[figure.kind](axes, figure)
    axes.tick_params(which="both", colors=_INK, labelsize=9)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=_RULE, linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_RULE)
    title = "\n".join(textwrap.wrap(_label(figure.title, 2 * _TITLE_WIDTH), _TITLE_WIDTH))
    _words(axes.set_title(title, loc="left", color=_INK, fontsize=12))
    _words(axes.set_xlabel(_label(figure.x_title), color=_INK))
    _words(axes.set_ylabel(_label(figure.y_title), color=_INK))


def _file(canvas: Canvas, file_format: Literal["png", "svg"]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.savefig(buffer, format=file_format, dpi=150)
    return buffer.getvalue()


def _time_axis(axes: Axes, figure: Figure) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_leading)
    axes.xaxis.set_minor_formatter(_leading if figure.decades < FEW_DECADES else "")


def _scatter(axes: Axes, figure: Figure) -> None:
    _time_axis(axes, figure)
    labels = figure.labels
    for point in figure.points:
        shape = MARKERS[labels.index(point.label) % len(MARKERS)] if figure.shaped else MARKERS[0]
        axes.scatter(point.x, point.y or 0.0, s=64, marker=shape, color=figure.colour(point.series), linewidths=0)
    axes.margins(x=0.08, y=0.1)
    for name, height in figure.levels:
        axes.axhline(height, color=_INK, linewidth=0.9, linestyle=(0, (4, 4)))
        note = axes.annotate(
            _label(name),
            (0.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=9,
            color=_INK,
        )
        _words(note)
    several = len(figure.series) > 1 or not figure.shaped
    handles = [_handle(name, "o", figure.colour(name)) for name in figure.series] if several else []
    handles += [
        _handle(name, MARKERS[place % len(MARKERS)], _INK if handles else figure.colour(figure.series[0]))
        for place, name in enumerate(labels if figure.shaped else [])
    ]
    _legend(axes, handles)


def _roofline(axes: Axes, figure: Figure) -> None:
    _scatter(axes, figure)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_leading)
    axes.plot([x for x, _ in figure.roof], [y for _, y in figure.roof], color=_INK, linewidth=1.2, zorder=0)
    note = axes.annotate(
        _label(f"roof: {figure.roof_name}", _TITLE_WIDTH),
        (1.0, figure.roof[-1][1]),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        fontsize=9,
        color=_INK,
    )
    _words(note)


def _trend(axes: Axes, figure: Figure) -> None:
    for place, name in enumerate(figure.series):
        points = figure.of(name)
        axes.plot(
            [point.x for point in points],
            [point.y or 0.0 for point in points],
            marker=MARKERS[place // len(PALETTE) % len(MARKERS)],
            markersize=4,
            linewidth=1,
            color=figure.colour(name),
            label=_label(name),
        )
    for change in figure.changes:
        colour = _WORSE if change.worse else _BETTER
        axes.axvline(change.x, color=colour, linewidth=1)
        note = axes.annotate(
            _label(change.text),
            (change.x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -10),
            textcoords="offset points",
            fontsize=9,
            color=colour,
        )
        _words(note)
    runs = figure.runs(_MOST_TICKS)
    axes.set_xticks(list(runs), [_label(name) for name in runs.values()])
    axes.tick_params(axis="x", rotation=90)
    axes.set_ylim(0, 1.2 * (max(point.y or 0.0 for point in figure.points) or 1.0))


def _dots(axes: Axes, figure: Figure) -> None:
    _time_axis(axes, figure)
    labels = figure.labels
    for place, label in enumerate(labels):
        values = [point.x for point in figure.points if point.label == label]
        axes.plot([min(values), max(values)], [place, place], color=_RULE, linewidth=2.5, zorder=1)
    for name in figure.series:
        points = figure.of(name)
        places = [labels.index(point.label) for point in points]
        axes.scatter([point.x for point in points], places, s=52, color=figure.colour(name), linewidths=0, zorder=2)
    axes.set_yticks(range(len(labels)))
    for text in axes.set_yticklabels([_label(label) for label in labels]):
        _words(text)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.margins(x=0.08)
    _legend(axes, [_handle(name, "o", figure.colour(name)) for name in figure.series])


def _handle(name: str, marker: str, colour: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", marker=marker, color=colour, markeredgewidth=0, label=_label(name))


def _legend(axes: Axes, handles: list[Line2D]) -> None:
    legend = axes.legend(
        handles=handles, frameon=False, fontsize=9, labelcolor=_INK, loc="upper left", bbox_to_anchor=(1.01, 1.0)
    )
    for text in legend.get_texts():
        _words(text)


def _leading(value: float, _: object) -> str:
    leading = f"{value:e}"[0]
    return f"{value:g}" if leading in "125" else ""


def _label(text: str, limit: int = 60) -> str:
    """A label as matplotlib takes it: a name that starts with an underscore would be left out of the legend."""
    line = one_line(text, limit)
    return f" {line}" if line.startswith("_") else line


def _words(text: Any) -> None:
    """Read the text as words: a `$` in it starts no formula."""
    text.set_parse_math(False)
