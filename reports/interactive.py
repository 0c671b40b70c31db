"""Plots for the page, drawn by plotly in the reader's browser."""

from __future__ import annotations

import math
from typing import Any, cast

from .escaping import for_plotly, one_line
from .figures import FEW_DECADES, Figure

_MOST_TICKS = 24
_LONGEST_NAME = 40
_SYMBOLS = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "triangle-down",
    "cross",
    "x",
    "star",
    "triangle-left",
    "triangle-right",
)
_GREY = "#868d93"
_WORSE, _BETTER = "#d55e00", "#009e73"
_HEIGHTS = {"scatter": 460, "roofline": 460, "trend": 320}
_HOVER = {
    "scatter": "<br>%{x:.3~g} ms<br>%{y:.4~g}",
    "dots": "<br>%{x:.3~g} ms",
    "roofline": "<br>%{x:.3~g} FLOP/byte<br>%{y:.4~g} GFLOP/s",
    "trend": "<br>%{y:.4~g} ms",
}


def plotly_script() -> str:
    """The source of plotly.js, to stand once in the page."""
    from plotly.offline import get_plotlyjs

    return cast(str, get_plotlyjs())


def interactive(figure: Figure) -> dict[str, Any]:
    """The figure as plotly's JSON: `data` and `layout`, without a template, checked by plotly's own schema."""
    from plotly import graph_objects

    drawn = graph_objects.Figure(
        data=_traces(figure),
        layout={
            "template": None,
            "height": _HEIGHTS.get(figure.kind) or max(320, 150 + 30 * len(figure.labels)),
            "margin": {"l": 60, "r": 20, "t": 20, "b": 60},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": figure.kind != "trend",
            "shapes": [*_level_lines(figure), *_change_lines(figure)],
            "annotations": [*_level_names(figure), *_change_words(figure)],
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "itemclick": False,
                "itemdoubleclick": False,
            },
            "xaxis": {"title": {"text": for_plotly(figure.x_title)}, "automargin": True, "zeroline": False}
            | (_run_axis(figure) if figure.kind == "trend" else _logarithmic(figure.decades)),
            "yaxis": {"title": {"text": for_plotly(figure.y_title)}, "automargin": True, "zeroline": False}
            | _y_axis(figure),
        },
    )
    return cast(dict[str, Any], drawn.to_plotly_json())


def _traces(figure: Figure) -> list[dict[str, Any]]:
    if figure.kind == "dots":
        return [_of_series(figure, name) for name in figure.series]
    if figure.kind == "trend":
        return [_of_series(figure, name) | {"mode": "lines+markers"} for name in figure.series]
    return [*_scatter(figure), *([_roof(figure)] if figure.roof else [])]


def _scatter(figure: Figure) -> list[dict[str, Any]]:
    if not figure.shaped:
        return [_of_series(figure, name) for name in figure.series]
    several = len(figure.series) > 1
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": _short(label),
            "showlegend": not several,
            "x": [point.x for point in points],
            "y": [point.y for point in points],
            "text": [for_plotly(point.series) for point in points],
            "marker": {
                "size": 12,
                "symbol": _SYMBOLS[place % len(_SYMBOLS)],
                "color": [figure.colour(point.series) for point in points],
            },
            "hovertemplate": f"{_verbatim(label)}, %{{text}}{_HOVER[figure.kind]}<extra></extra>",
        }
        for place, label in enumerate(figure.labels)
        if (points := [point for point in figure.points if point.label == label])
    ]
    if several:
        traces += [_key(name, "circle", figure.colour(name)) for name in figure.series]
        traces += [_key(name, _SYMBOLS[place % len(_SYMBOLS)], _GREY) for place, name in enumerate(figure.labels)]
    return traces


def _of_series(figure: Figure, series: str) -> dict[str, Any]:
    """The points of a series in its colour; in a plot of dots the place of its label is a point's height."""
    points = figure.of(series)
    heights = {label: place for place, label in enumerate(figure.labels)}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": _short(series),
        "x": [point.x for point in points],
        "y": [heights[point.label] if figure.kind == "dots" else point.y for point in points],
        "text": [for_plotly(point.label) for point in points],
        "marker": {"size": 8 if figure.kind == "trend" else 12, "color": figure.colour(series)},
        "hovertemplate": f"%{{text}}<br>{_verbatim(series)}{_HOVER[figure.kind]}<extra></extra>",
    }


def _roof(figure: Figure) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "roof",
        "x": [x for x, _ in figure.roof],
        "y": [y for _, y in figure.roof],
        "line": {"color": _GREY, "width": 2},
        "hoverinfo": "skip",
    }


def _key(name: str, symbol: str, colour: str) -> dict[str, Any]:
    """An entry of the legend that stands for no point of its own."""
    marker = {"size": 10, "symbol": symbol, "color": colour}
    return {"type": "scatter", "mode": "markers", "name": _short(name), "x": [None], "y": [None], "marker": marker}


def _level_lines(figure: Figure) -> list[dict[str, Any]]:
    line = {"color": _GREY, "width": 1, "dash": "dash"}
    return [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height, "line": line}
        for _, height in figure.levels
    ]


def _level_names(figure: Figure) -> list[dict[str, Any]]:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return [{"text": _short(name), "y": height} | place for name, height in figure.levels]


def _change_lines(figure: Figure) -> list[dict[str, Any]]:
    return [
        {
            "type": "line",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": change.x,
            "x1": change.x,
            "line": {"color": _WORSE if change.worse else _BETTER, "width": 2},
        }
        for change in figure.changes
    ]


def _change_words(figure: Figure) -> list[dict[str, Any]]:
    """Each change in words above its line, on the side where there is room."""
    middle = max((point.x for point in figure.points), default=0.0) / 2
    place = {"yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False}
    return [
        {"text": for_plotly(change.text), "x": change.x, "xanchor": "left" if change.x < middle else "right"} | place
        for change in figure.changes
    ]


def _logarithmic(decades: float) -> dict[str, Any]:
    return {"type": "log", "dtick": "D2" if decades < FEW_DECADES else 1, "tickformat": "~g"}


def _run_axis(figure: Figure) -> dict[str, Any]:
    """Runs at equal distances, named by their commits; where they are many, every second, third, ... name."""
    runs = figure.runs(_MOST_TICKS)
    names = [for_plotly(name) for name in runs.values()]
    return {"tickmode": "array", "tickvals": list(runs), "ticktext": names, "tickangle": -90}


def _y_axis(figure: Figure) -> dict[str, Any]:
    if figure.kind == "dots":
        names = [_short(label) for label in figure.labels]
        places = list(range(len(names)))
        return {"tickmode": "array", "tickvals": places, "ticktext": names, "range": [len(names) - 0.4, -0.6]}
    if figure.kind == "roofline":
        values = [point.y for point in figure.points if point.y] + [y for _, y in figure.roof]
        return _logarithmic(math.log10(max(values) / min(values)))
    return {"rangemode": "tozero"} if figure.kind == "trend" else {}


def _short(text: str) -> str:
    """A name where room is short; the whole one is said where the pointer is."""
    return for_plotly(one_line(text, _LONGEST_NAME))


def _verbatim(text: str) -> str:
    """A name within a hover template, where braces after a percent sign would be filled in."""
    return for_plotly(text).replace("{", "&#123;").replace("%", "&#37;")
