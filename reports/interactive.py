"""Plots for the page, drawn by plotly in the reader's browser."""

from __future__ import annotations

from typing import Any, cast

from .escaping import for_plotly
from .figures import Figure

_FEW_DECADES = 2.5
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


def plotly_script() -> str:
    """The source of plotly.js, to stand once in the page."""
    from plotly.offline import get_plotlyjs

    return cast(str, get_plotlyjs())


def interactive(figure: Figure) -> dict[str, Any]:
    """The figure as plotly's JSON: `data` and `layout`, without a template, checked by plotly's own schema."""
    from plotly import graph_objects

    traces = _scatter(figure) if figure.kind == "scatter" else _dots(figure)
    names = [for_plotly(label) for label in figure.labels]
    drawn = graph_objects.Figure(
        data=traces,
        layout={
            "template": None,
            "height": 460 if figure.kind == "scatter" else max(320, 150 + 30 * len(names)),
            "margin": {"l": 60, "r": 20, "t": 20, "b": 60},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": True,
            "shapes": [
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": height,
                    "y1": height,
                    "line": {"color": _GREY, "width": 1, "dash": "dash"},
                }
                for _, height in figure.levels
            ],
            "annotations": [
                {
                    "text": for_plotly(name),
                    "xref": "paper",
                    "x": 0,
                    "xanchor": "left",
                    "y": height,
                    "yanchor": "bottom",
                    "showarrow": False,
                }
                for name, height in figure.levels
            ],
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "itemclick": False,
                "itemdoubleclick": False,
            },
            "xaxis": {
                "type": "log",
                "title": {"text": for_plotly(figure.x_title)},
                "automargin": True,
                "dtick": "D2" if figure.decades < _FEW_DECADES else 1,
                "tickformat": "~g",
                "zeroline": False,
            },
            "yaxis": {"title": {"text": for_plotly(figure.y_title)}, "automargin": True, "zeroline": False}
            | (
                {"type": "category", "categoryarray": names[::-1], "categoryorder": "array"}
                if figure.kind == "dots"
                else {}
            ),
        },
    )
    return cast(dict[str, Any], drawn.to_plotly_json())


def _scatter(figure: Figure) -> list[dict[str, Any]]:
    several = len(figure.series) > 1
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": for_plotly(label),
            "showlegend": not several,
            "x": [point.x for point in points],
            "y": [point.y for point in points],
            "text": [for_plotly(point.series) for point in points],
            "marker": {
                "size": 12,
                "symbol": _SYMBOLS[place % len(_SYMBOLS)],
                "color": [figure.colour(point.series) for point in points],
            },
            "hovertemplate": f"{_verbatim(label)}, %{{text}}<br>%{{x:.3~g}} ms<br>%{{y:.4~g}}<extra></extra>",
        }
        for place, label in enumerate(figure.labels)
        if (points := [point for point in figure.points if point.label == label])
    ]
    if several:
        traces += [_key(name, "circle", figure.colour(name)) for name in figure.series]
        traces += [_key(name, _SYMBOLS[place % len(_SYMBOLS)], _GREY) for place, name in enumerate(figure.labels)]
    return traces


def _dots(figure: Figure) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": for_plotly(series),
            "x": [point.x for point in points],
            "y": [for_plotly(point.label) for point in points],
            "marker": {"size": 12, "color": figure.colour(series)},
            "hovertemplate": f"%{{y}}<br>{_verbatim(series)}<br>%{{x:.3~g}} ms<extra></extra>",
        }
        for series in figure.series
        if (points := figure.of(series))
    ]


def _key(name: str, symbol: str, colour: str) -> dict[str, Any]:
    """An entry of the legend that stands for no point of its own."""
    marker = {"size": 10, "symbol": symbol, "color": colour}
    return {"type": "scatter", "mode": "markers", "name": for_plotly(name), "x": [None], "y": [None], "marker": marker}


def _verbatim(text: str) -> str:
    """A name within a hover template, where braces after a percent sign would be filled in."""
    return for_plotly(text).replace("{", "&#123;").replace("%", "&#37;")
