"""What the plots show, as data: the same points for the picture files and for the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pacbench.frame import Run

from .cells import Row, SummaryTable

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
"""Okabe and Ito's colours, which people with any colour vision can tell apart."""

MOST_LABELS = 60
"""A plot shows so many cases at most and says so; the tables hold all."""

FEW_DECADES = 2.5
"""A logarithmic axis of fewer has names between its powers of ten."""

MOST_SHAPES = 20
"""With more labels than this a scatter has no shape for each: only the series are told apart."""


@dataclass(frozen=True)
class Point:
    """One mark: a method, a case or a run (`label`) of a backend (`series`)."""

    label: str
    series: str
    x: float
    y: float | None = None


@dataclass(frozen=True)
class Change:
    """A lasting change in a trend, at `x`, said in a few words; `worse` is slower, or more of what is scarce."""

    x: float
    text: str
    worse: bool


@dataclass(frozen=True)
class Figure:
    """A plot.

    A scatter has x and y, a shape per label, and `levels`: rows that have a quality but no time, such as the unary.
    Dots have one line per label, with the x of every series on it. A roofline is a scatter of two logarithmic axes
    under a `roof` (its corners, from left to right). A trend is a line for each series over runs (x = 0, 1, ...), whose
    names are the points' labels, with `changes`.
    """

    name: str
    title: str
    kind: Literal["scatter", "dots", "roofline", "trend"]
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    levels: tuple[tuple[str, float], ...] = ()
    roof: tuple[tuple[float, float], ...] = ()
    roof_name: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def series(self) -> list[str]:
        """Names of the series, in the order of the table."""
        return list(dict.fromkeys(point.series for point in self.points))

    @property
    def labels(self) -> list[str]:
        """Labels, in the order of the table."""
        return list(dict.fromkeys(point.label for point in self.points))

    @property
    def shaped(self) -> bool:
        """Whether each label has a shape of its own."""
        return len(self.labels) <= MOST_SHAPES

    def colour(self, series: str) -> str:
        """The colour of a series."""
        return PALETTE[self.series.index(series) % len(PALETTE)]

    def of(self, series: str) -> list[Point]:
        """The points of a series, from left to right."""
        return sorted((point for point in self.points if point.series == series), key=lambda point: point.x)

    @property
    def decades(self) -> float:
        """How many powers of ten the x values span, those of the roof too."""
        values = [point.x for point in self.points] + [x for x, _ in self.roof]
        return math.log10(max(values) / min(values))

    def runs(self, most: int) -> dict[float, str]:
        """Places of a trend's runs and the first words of their names; of more than `most` every second, third, ..."""
        found = {point.x: point.label.partition(" ")[0] for point in self.points}
        return {place: found[place] for place in sorted(found)[:: math.ceil(len(found) / most)]}

    @property
    def summary(self) -> str:
        """What the plot shows, in words, for those who do not see it."""
        said = [f"{self.title}: {len(self.points)} points of {', '.join(self.series)}"]
        if self.kind != "trend":
            said.append(self._extent(self.x_title, lambda point: point.x))
        if self.y_title:
            said.append(self._extent(self.y_title, lambda point: point.y or 0.0))
        if self.roof_name:
            said.append(f"the roof is {self.roof_name}")
        if self.kind == "trend":
            said.append(f"lasting changes: {'; '.join(change.text for change in self.changes) or 'none'}")
        return ". ".join(said) + "."

    def _extent(self, title: str, of: Callable[[Point], float]) -> str:
        ends = [min(self.points, key=of), max(self.points, key=of)]
        return f"{title} from {' to '.join(f'{of(end):.3g} ({end.label}, {end.series})' for end in ends)}"


@dataclass(frozen=True)
class Roof:
    """What a machine can do at most: FMA peak in GFLOP/s, and copy bandwidth in GB/s where it was measured."""

    gflops: float
    bandwidth_gbs: float | None

    @property
    def name(self) -> str:
        """The roof in words."""
        slope = f"{self.bandwidth_gbs:.3g} GB/s of copy bandwidth, then " if self.bandwidth_gbs else ""
        return f"{slope}{self.gflops:.3g} GFLOP/s of FMA peak"

    def corners(self, intensities: Sequence[float]) -> tuple[tuple[float, float], ...]:
        """(FLOP/byte, GFLOP/s) from left of the least intensity to right of the greatest, the ridge between."""
        ridge = [self.gflops / self.bandwidth_gbs] if self.bandwidth_gbs else []
        left, right = min([*intensities, *ridge]) / 2, max([*intensities, *ridge]) * 2
        start = (left, self.bandwidth_gbs * left if self.bandwidth_gbs else self.gflops)
        return (start, *((x, self.gflops) for x in [*ridge, right]))


def machine_roof(run: Run) -> Roof | None:
    """The roof of the machine that the run was made on; None where its FMA peak was not measured."""
    found = run.environment
    return Roof(found.fma_peak_gflops, found.copy_bandwidth_gbs) if found and found.fma_peak_gflops else None


def figures(tables: Sequence[SummaryTable], roof: Roof | None = None) -> list[Figure]:
    """Every plot that the tables have numbers for; rooflines only where there is a roof."""
    drawn: list[Figure] = []
    for table in tables:
        if table.name == "crf":
            drawn += _scatters(table, "total_ms", "miou_percent", "mIoU in %", ("dataset",), "time of one image")
        elif table.name == "joint_upsampling":
            drawn += _scatters(table, "time_ms", "rmse", "RMSE or EPE", ("dataset", "factor"), "time of one image")
        elif table.name == "operators":
            drawn += [*_dots(table), *(_rooflines(table, roof) if roof else [])]
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
            name=_numbered(table.name, number, len(parts)),
            title=", ".join(["Speed against quality", *(word for word in key if word), *_cut(points)]),
            kind="scatter",
            x_title=f"{x_title} in ms",
            y_title=y_title,
            points=_of_first_labels(points),
            levels=tuple(levels.get(key, ()))[:MOST_LABELS],
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
            name=_numbered(table.name, number, len(parts)),
            title=", ".join(["Time of one call", *([direction] if direction else []), *_cut(points)]),
            kind="dots",
            x_title="time in ms",
            y_title="",
            points=_of_first_labels(points),
        )
        for number, (direction, points) in enumerate(parts.items(), start=1)
    ]


def _rooflines(table: SummaryTable, roof: Roof) -> list[Figure]:
    """Throughput over intensity of what has a share of the peak: what ran on the machine's CPU."""
    parts: dict[str, list[Point]] = {}
    for row in table.rows:
        intensity, throughput = _number(table, row, "intensity"), _number(table, row, "gflops")
        if intensity and throughput and _number(table, row, "fma_peak_percent") is not None:
            point = Point(table.cell(row, "workload").text, table.cell(row, "backend").text, intensity, throughput)
            parts.setdefault(table.cell(row, "direction").text, []).append(point)
    return [
        Figure(
            name=_numbered(f"{table.name}_roofline", number, len(parts)),
            title=", ".join(["Roofline", *([direction] if direction else []), *_cut(points)]),
            kind="roofline",
            x_title="compulsory intensity in FLOP/byte",
            y_title="GFLOP/s",
            points=_of_first_labels(points),
            roof=roof.corners([point.x for point in _of_first_labels(points)]),
            roof_name=roof.name,
        )
        for number, (direction, points) in enumerate(parts.items(), start=1)
    ]


def _numbered(name: str, number: int, count: int) -> str:
    return f"{name}_{number}" if count > 1 else name


def _of_first_labels(points: Sequence[Point]) -> tuple[Point, ...]:
    kept = set(list(dict.fromkeys(point.label for point in points))[:MOST_LABELS])
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
