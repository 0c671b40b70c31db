"""What the plots show, as data: the same points for the picture files and for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .cells import Row, SummaryTable

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
"""Okabe and Ito's colours, which people with any colour vision can tell apart."""


MOST_LABELS = 60
"""A plot with a line per case shows so many at most and says so; the tables hold all."""


@dataclass(frozen=True)
class Point:
    """One mark: a method (`label`) of a backend (`series`)."""

    label: str
    series: str
    x: float
    y: float | None = None


@dataclass(frozen=True)
class Figure:
    """A plot.

    A scatter has x and y, a shape per label, and `levels`: rows that have a quality but no time, such as the unary.
    Dots have one line per label, with the x of every series on it.
    """

    name: str
    title: str
    kind: Literal["scatter", "dots"]
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    levels: tuple[tuple[str, float], ...] = ()

    @property
    def series(self) -> list[str]:
        """Names of the series, in the order of the table."""
        return list(dict.fromkeys(point.series for point in self.points))

    @property
    def labels(self) -> list[str]:
        """Labels, in the order of the table."""
        return list(dict.fromkeys(point.label for point in self.points))

    def colour(self, series: str) -> str:
        """The colour of a series."""
        return PALETTE[self.series.index(series) % len(PALETTE)]

    def of(self, series: str) -> list[Point]:
        """The points of a series, from left to right."""
        return sorted((point for point in self.points if point.series == series), key=lambda point: point.x)

    @property
    def decades(self) -> float:
        """How many powers of ten the x values span."""
        values = [point.x for point in self.points]
        return math.log10(max(values) / min(values))

    @property
    def summary(self) -> str:
        """What the plot shows, in words, for those who do not see it."""
        return f"{self.title}: {self.x_title} for {len(self.labels)} rows and {len(self.series)} series."


def figures(tables: Sequence[SummaryTable]) -> list[Figure]:
    """Every plot that the tables have numbers for."""
    drawn: list[Figure] = []
    for table in tables:
        if table.name == "crf":
            drawn += _scatters(table, "total_ms", "miou_percent", "mIoU in %", ("dataset",), "time of one image")
        elif table.name == "joint_upsampling":
            drawn += _scatters(table, "time_ms", "rmse", "RMSE or EPE", ("dataset", "factor"), "time of one image")
        elif table.name == "operators":
            drawn += _dots(table)
    return [figure for figure in drawn if figure.points]


def _scatters(table: SummaryTable, x: str, y: str, y_title: str, apart: tuple[str, ...], x_title: str) -> list[Figure]:
    parts: dict[tuple[str, ...], list[Point]] = {}
    levels: dict[tuple[str, ...], dict[tuple[str, float], None]] = {}
    for row in table.rows:
        across, up = _number(table, row, x), _number(table, row, y)
        part = tuple(_part(key, table.cell(row, key).text) for key in apart)
        method = table.cell(row, "method").text
        if up is not None and across is not None and across > 0:
            parts.setdefault(part, []).append(Point(method, table.cell(row, "backend").text, across, up))
        elif up is not None:
            levels.setdefault(part, {})[method, up] = None
    return [
        Figure(
            name="_".join([table.name, *(str(place) for place in [number] if len(parts) > 1)]),
            title=", ".join(["Speed against quality", *(word for word in key if word)]),
            kind="scatter",
            x_title=f"{x_title} in ms",
            y_title=y_title,
            points=tuple(points),
            levels=tuple(levels.get(key, ())),
        )
        for number, (key, points) in enumerate(parts.items(), start=1)
    ]


def _dots(table: SummaryTable) -> list[Figure]:
    parts: dict[str, list[Point]] = {}
    for row in table.rows:
        time = _number(table, row, "time_ms")
        if time is not None and time > 0:
            point = Point(table.cell(row, "workload").text, table.cell(row, "backend").text, time)
            parts.setdefault(table.cell(row, "direction").text, []).append(point)
    return [
        Figure(
            name="_".join([table.name, *(str(place) for place in [number] if len(parts) > 1)]),
            title=", ".join(["Time of one call", *([direction] if direction else []), *_cut(points)]),
            kind="dots",
            x_title="time in ms",
            y_title="",
            points=_of_first_labels(points),
        )
        for number, (direction, points) in enumerate(parts.items(), start=1)
    ]


def _of_first_labels(points: Sequence[Point]) -> tuple[Point, ...]:
    kept = list(dict.fromkeys(point.label for point in points))[:MOST_LABELS]
    return tuple(point for point in points if point.label in kept)


def _cut(points: Sequence[Point]) -> list[str]:
    """What the title says where a plot cannot show every case."""
    count = len({point.label for point in points})
    return [f"the first {MOST_LABELS} of {count} cases"] if count > MOST_LABELS else []


def _number(table: SummaryTable, row: Row, key: str) -> float | None:
    value = table.cell(row, key).value
    return float(value) if isinstance(value, (int, float)) else None


def _part(key: str, text: str) -> str:
    """What a plot's title says of the part of the table that it shows."""
    return f"{key} {text}" if key == "factor" and text else text
