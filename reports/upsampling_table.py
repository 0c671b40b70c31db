"""The joint upsampling table: methods × factors × backends, with error, interval, time, parameters and memory."""

from __future__ import annotations

import re

from pacbench.frame import Run
from pacbench.metrics.bootstrap import paired_interval

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, number, words
from .measurements import Measurement, baseline_backend, bracket_words, measurements
from .published_upsampling import NOT_COMPARABLE, SOURCE, published_error
from .row_cells import (
    EVERY_CASE,
    base_remark,
    columns_for,
    grouped,
    memory_cell,
    metric_cell,
    missing,
    notes_cell,
    ratio_cell,
    spread_cells,
    status_cell,
    time_cell,
    trainings_cell,
)

COLUMNS = (
    Column("dataset", "data", numeric=False),
    Column("factor", "factor"),
    Column("method", "method", numeric=False),
    Column("backend", "backend", numeric=False),
    Column("rmse", "RMSE or EPE"),
    Column("interval", "95 %"),
    Column("minus_bilinear", "minus bilinear", where="documents"),
    Column("minus_djf", "minus DJF", where="documents"),
    Column("over_trainings", "over trainings", numeric=False, where="documents"),
    Column("epe_boundary", "boundary EPE", where="documents"),
    Column("published", "published", where="documents"),
    Column("time_ms", "time ms"),
    Column("ratio_to_baseline", "/ base"),
    Column("parameters", "params"),
    Column("peak_memory_mb", "memory MB"),
    Column("spread_percent", "spread %", where="documents"),
    Column("samples", "samples", where="data"),
    Column("status", "status", numeric=False),
    Column("tuning", "parameters and notes", numeric=False, where="documents"),
)
MEASURES = ("rmse", "epe")
RIVAL = "djf"
"""The network that the published table compares PAC with at equal training."""
_FACTOR = re.compile(r"(?:x|factor_?)?(\d+)x?")


def upsampling_table(run: Run, suite: str = "joint_upsampling") -> SummaryTable:
    """RMSE, time and memory of every method at every factor, by backend."""
    base = baseline_backend(run)
    by_factor: dict[str, list[Measurement]] = {}
    for measured in measurements(run, suite):
        by_factor.setdefault(factor_of(measured), []).append(measured)
    rows: list[Row] = []
    for factor in sorted(by_factor, key=lambda text: (not text, int(text or 0))):
        groups = grouped(run, by_factor[factor])
        for (dataset, method, backend), group in groups.items():
            everything = list(group.values())
            quality = _with_error(group)
            measure = (_measure(quality) if quality else None) or "rmse"
            rival = _with_error(groups.get((dataset, RIVAL, backend), {})) if method != RIVAL else quality
            total = group.get("total")
            base_total = groups.get((dataset, method, base or ""), {}).get("total")
            rows.append(
                (
                    words(dataset),
                    _factor_cell(factor, method),
                    words(method),
                    words(backend),
                    metric_cell(quality, measure, "error", _four_digits, everything),
                    _interval_cell(quality, measure, everything),
                    _difference_cell(quality, everything),
                    _rival_cell(quality, rival, measure, everything),
                    trainings_cell(quality, measure, _three_digits, everything),
                    _boundary_cell(quality, everything),
                    _published_cell(dataset, method, factor),
                    time_cell(total, "time", everything),
                    ratio_cell(total, base_total, f"time of {method} by {base}", everything),
                    _parameters_cell(everything),
                    memory_cell(total, everything),
                    *spread_cells(total, everything),
                    status_cell(everything),
                    notes_cell(everything),
                )
            )
    rows.sort(key=lambda row: row[2].text == EVERY_CASE)
    datasets = list(dict.fromkeys(row[0].text for row in rows if row[2].text != EVERY_CASE))
    rows.sort(key=lambda row: datasets.index(row[0].text) if row[0].text in datasets else len(datasets))
    return SummaryTable(
        name=suite,
        title="Joint upsampling",
        caption="Error against the full-resolution truth and cost of each method, times in ms for one image.",
        columns=columns_for(run, COLUMNS),
        rows=tuple(rows),
        remarks=(
            "RMSE of depth and disparity, EPE (endpoint error) of flow: in the unit of the data; lower is better. "
            "boundary EPE: within 5 pixels of motion boundaries.",
            "95 %: bootstrap interval over the images; minus bilinear: the mean difference to bilinear on the same "
            "images, and its interval.",
            "minus DJF: the mean difference to DJF on the same images, and its interval; over trainings: of a network "
            "with the weights of several trainings, how many, and the least and the largest mean error. Its row has "
            "the mean of their errors, image by image.",
            f"published: {SOURCE} {NOT_COMPARABLE}",
            *base_remark(run, "time divided by that of", "for the same method, factor and data"),
        ),
    )


def factor_of(measured: Measurement) -> str:
    """The upsampling factor as whole-number text, from the record or from the case's name; empty if unknown."""
    for found in (measured.metrics, measured.parameters):
        if "factor" in found:
            return str(int(found["factor"]))
    for word in bracket_words(measured.case):
        fitting = _FACTOR.fullmatch(word)
        if fitting:
            return fitting.group(1)
    return ""


def _four_digits(value: float) -> str:
    return written.significant(value, 4)


def _three_digits(value: float) -> str:
    return written.significant(value)


def _with_error(group: dict[str, Measurement]) -> Measurement | None:
    """The measurement of a row that has its error; else that of its quality."""
    return next((found for found in group.values() if _measure(found) is not None), group.get("quality"))


def _measure(measured: Measurement) -> str | None:
    return next((name for name in MEASURES if measured.metric(name) is not None), None)


def _interval_cell(quality: Measurement | None, measure: str, group: list[Measurement]) -> Cell:
    low, high = (quality.metric(f"{measure}_{end}") if quality else None for end in ("low", "high"))
    if low is None or high is None:
        alone = quality is not None and quality.metric(measure) is not None
        return empty("no interval was recorded: one image has none" if alone else missing(quality, "error", group))
    return words(f"{written.significant(low)} to {written.significant(high)}")


def _difference_cell(quality: Measurement | None, group: list[Measurement]) -> Cell:
    value, low, high = (quality.metric(f"minus_bilinear{end}") if quality else None for end in ("", "_low", "_high"))
    if value is None or low is None or high is None:
        alone = quality is not None and _measure(quality) is not None
        return empty("no interval was recorded: one image has none" if alone else missing(quality, "error", group))
    return _interval_words(value, low, high)


def _rival_cell(quality: Measurement | None, rival: Measurement | None, measure: str, group: list[Measurement]) -> Cell:
    """The mean difference to the rival on the same images, with its interval."""
    if quality is None or quality.metric(measure) is None:
        return empty(missing(quality, "error", group))
    if rival is quality:
        return empty("this is the row that the others are compared with")
    if rival is None or rival.metric(measure) is None:
        return empty(f"there is no error of {RIVAL} to compare with")
    own, other = (
        {item: found[measure] for item, found in one.per_item.items() if measure in found} for one in (quality, rival)
    )
    if own.keys() != other.keys():
        return empty(f"{RIVAL} was not measured on the same images")
    found = paired_interval(list(own.values()), [other[item] for item in own])
    if found is None:
        return empty("no interval was recorded: one image has none")
    return _interval_words(found.value, found.low, found.high)


def _interval_words(value: float, low: float, high: float) -> Cell:
    return Cell(text=f"{_signed(value)} ({_signed(low)} to {_signed(high)})", value=value)


def _signed(value: float) -> str:
    sign = "\N{MINUS SIGN}" if value < 0 else "+" if value > 0 else ""
    return sign + written.significant(abs(value))


def _boundary_cell(quality: Measurement | None, group: list[Measurement]) -> Cell:
    if quality is not None and quality.metric("rmse") is not None:
        return empty("depth has no motion, and so no motion boundary")
    value = quality.metric("epe_boundary") if quality else None
    return number(value, written.significant, missing(quality, "error at motion boundaries", group))


def _parameters_cell(group: list[Measurement]) -> Cell:
    value = next((found for one in group if (found := one.metric("parameters")) is not None), None)
    return number(value, lambda count: f"{count:.0f}", missing(None, "parameters", group))


def _published_cell(dataset: str, method: str, factor: str) -> Cell:
    value = published_error(dataset, method, factor)
    return empty("the paper prints no error of this method on this data") if value is None else words(f"{value:g}")


def _factor_cell(factor: str, method: str) -> Cell:
    if factor:
        return Cell(text=factor, value=float(factor))
    return empty("the job ended before it named its cases" if method == EVERY_CASE else "the record names no factor")
