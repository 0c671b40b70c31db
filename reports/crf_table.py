"""The segmentation table: CRF methods × backends, with mIoU, gain, times, memory and tuning."""

from __future__ import annotations

from pacbench.frame import Run

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, number, words
from .measurements import Measurement, baseline_backend, measurements
from .row_cells import (
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
)

BANDS = (2, 4, 8)
"""Widths of the bands around the truth's boundaries, in pixels, as `pacbench.metrics.boundary_iou` has them."""

TRIMAP_COLUMNS = tuple(Column(f"trimap_miou_{width}_percent", f"trimap {width}", where="documents") for width in BANDS)
"""What `trimap_cells` has the cells of."""

COLUMNS = (
    Column("dataset", "data", numeric=False),
    Column("method", "method", numeric=False),
    Column("backend", "backend", numeric=False),
    Column("miou_percent", "mIoU %"),
    Column("gain_points", "gain"),
    Column("gain_half_interval_points", "±"),
    Column("gain_interval_points", "95 % of gain", numeric=False, where="documents"),
    Column("pixel_accuracy_percent", "pixel acc. %", where="documents"),
    *TRIMAP_COLUMNS,
    Column("total_ms", "total ms"),
    Column("kernel_ms", "kernel ms"),
    Column("steps_ms", "steps ms"),
    Column("ratio_to_baseline", "/ base"),
    Column("peak_memory_mb", "memory MB"),
    Column("spread_percent", "spread %", where="documents"),
    Column("samples", "samples", where="data"),
    Column("status", "status", numeric=False),
    Column("tuning", "parameters and tuning", numeric=False, where="documents"),
)


def crf_table(run: Run, suite: str = "crf") -> SummaryTable:
    """mIoU, gain over the unary row in points, total, kernel and steps time, memory: methods × backends."""
    groups = grouped(run, measurements(run, suite))
    base = baseline_backend(run)
    unary = _unary_miou(groups)
    rows: list[Row] = []
    for (dataset, method, backend), group in groups.items():
        total, kernel, steps = (group.get(name) for name in ("total", "kernel", "steps"))
        quality = next((found for found in group.values() if found.metric("miou") is not None), group.get("quality"))
        base_total = groups.get((dataset, method, base or ""), {}).get("total")
        everything = list(group.values())
        rows.append(
            (
                words(dataset),
                words(method),
                words(backend),
                metric_cell(quality, "miou", "mIoU", written.percent, everything, scale=100.0),
                gain_cell(quality, unary.get((dataset, backend), unary.get((dataset, ""))), everything),
                *interval_cells(quality, everything),
                metric_cell(quality, "pixel_accuracy", "pixel accuracy", written.percent, everything, scale=100.0),
                *trimap_cells(quality, everything),
                time_cell(total, "total time", everything),
                time_cell(kernel, "kernel time", everything),
                time_cell(steps, "time of the steps", everything),
                ratio_cell(total, base_total, f"total time of {method} by {base}", everything),
                memory_cell(total, everything),
                *spread_cells(total, everything),
                status_cell(everything),
                notes_cell(everything),
            )
        )
    return SummaryTable(
        name=suite,
        title="CRF inference for semantic segmentation",
        caption="mIoU and cost of each CRF method by backend, times in ms for one pass over an image.",
        columns=columns_for(run, COLUMNS),
        rows=tuple(rows),
        remarks=(
            "mIoU: one confusion matrix over the whole set, void ignored, mean over the classes of the truth.",
            "gain: mIoU minus that of the unary row of the same data (of the same backend where it has one), "
            "in percentage points.",
            "95 % of gain: where a paired bootstrap over images puts the gain; ±: half the width of that interval.",
            "pixel acc.: share of the evaluated pixels that are right; trimap d: mIoU of the pixels within d pixels of "
            "a boundary of the truth, void rims being boundaries.",
            "kernel: what is computed once for an image (the adapting kernel); steps: the mean-field steps; total: "
            "both, timed on its own.",
            *base_remark(run, "total time divided by that of", "for the same method and data"),
        ),
    )


def _unary_miou(groups: dict[tuple[str, str, str], dict[str, Measurement]]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for (dataset, method, backend), group in groups.items():
        for measured in group.values():
            miou = measured.metric("miou")
            if method == "unary" and miou is not None:
                found.setdefault((dataset, backend), miou)
                found.setdefault((dataset, ""), miou)
    return found


def trimap_cells(quality: Measurement | None, group: list[Measurement]) -> list[Cell]:
    """The mIoU within each band around the truth's boundaries."""
    names = [f"trimap_miou_{width}" for width in BANDS]
    return [metric_cell(quality, name, "mIoU near boundaries", written.percent, group, scale=100.0) for name in names]


def interval_cells(quality: Measurement | None, group: list[Measurement]) -> tuple[Cell, Cell]:
    """Half the width of the gain's 95 % interval in points, and its ends in words."""
    low, high = (quality.metric(f"miou_gain_{end}") if quality else None for end in ("low", "high"))
    if low is None or high is None:
        reason = missing(quality, "interval of the gain (it takes two images and a baseline)", group)
        return empty(reason), empty(reason)
    half = number(50.0 * (high - low), lambda value: f"{value:.2f}", "the interval was not recorded")
    return half, words(f"{written.points(100.0 * low)} to {written.points(100.0 * high)}")


def gain_cell(quality: Measurement | None, unary: float | None, group: list[Measurement]) -> Cell:
    """The mIoU in points beyond that of a baseline, 0 to 1."""
    miou = metric_cell(quality, "miou", "mIoU", written.percent, group, scale=100.0)
    if not isinstance(miou.value, float):
        return miou
    paired = quality.metric("miou_gain") if quality else None
    if paired is not None:  # the mean over pairs of trainings
        return number(100.0 * paired, written.points, "mIoU was not recorded")
    if unary is None:
        return empty("there is no mIoU of the row to compare with")
    return number(miou.value - 100.0 * unary, written.points, "mIoU was not recorded")
