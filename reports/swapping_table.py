"""The hot-swapping table: networks × backends, with mIoU, gain over the plain one, time, ratio and memory."""

from __future__ import annotations

from pacbench.frame import Run

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, words
from .crf_table import TRIMAP_COLUMNS, gain_cell, interval_cells, trimap_cells
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
    trainings_cell,
)

PLAIN = "fcn"
COLUMNS = (
    Column("dataset", "data", numeric=False),
    Column("method", "method", numeric=False),
    Column("backend", "backend", numeric=False),
    Column("miou_percent", "mIoU %"),
    Column("gain_points", "gain"),
    Column("gain_half_interval_points", "±"),
    Column("gain_interval_points", "95 % of gain", numeric=False, where="documents"),
    Column("minus_control_points", "minus control", where="documents"),
    Column("over_trainings", "mIoU over trainings", numeric=False, where="documents"),
    Column("pixel_accuracy_percent", "pixel acc. %", where="documents"),
    *TRIMAP_COLUMNS,
    Column("total_ms", "time ms"),
    Column("ratio_to_plain", "time / plain"),
    Column("ratio_to_baseline", "/ base"),
    Column("peak_memory_mb", "memory MB"),
    Column("spread_percent", "spread %", where="documents"),
    Column("samples", "samples", where="data"),
    Column("status", "status", numeric=False),
    Column("notes", "notes", numeric=False, where="documents"),
)


def swapping_table(run: Run, suite: str = "hot_swapping") -> SummaryTable:
    """One row for each method and backend; gain and / plain are relative to the plain network by the same backend."""
    groups = grouped(run, measurements(run, suite))
    base = baseline_backend(run)
    plain_miou = {
        key[::2]: miou
        for key, group in groups.items()
        for measured in group.values()
        if key[1] == PLAIN and (miou := measured.metric("miou")) is not None
    }
    rows: list[Row] = []
    for (dataset, method, backend), group in groups.items():
        everything = list(group.values())
        total = group.get("total")
        quality = next((found for found in everything if found.metric("miou") is not None), group.get("quality"))
        plain_total = groups.get((dataset, PLAIN, backend), {}).get("total")
        base_total = groups.get((dataset, method, base or ""), {}).get("total")
        rows.append(
            (
                words(dataset),
                words(method),
                words(backend),
                metric_cell(quality, "miou", "mIoU", written.percent, everything, scale=100.0),
                gain_cell(quality, plain_miou.get((dataset, backend)), everything),
                *interval_cells(quality, everything),
                _control_cell(quality, everything),
                trainings_cell(quality, "miou", written.percent, everything),
                metric_cell(quality, "pixel_accuracy", "pixel accuracy", written.percent, everything, scale=100.0),
                *trimap_cells(quality, everything),
                time_cell(total, "time", everything),
                ratio_cell(total, plain_total, f"time of {PLAIN} by {backend}", everything),
                ratio_cell(total, base_total, f"time of {method} by {base}", everything),
                memory_cell(total, everything),
                *spread_cells(total, everything),
                status_cell(everything),
                notes_cell(everything),
            )
        )
    return SummaryTable(
        name=suite,
        title="Hot-swapped networks for semantic segmentation",
        caption="mIoU and cost of a network, of its pixel-adaptive form, and of each with a PAC-CRF; times in ms for "
        "one image from pixels to scores.",
        columns=columns_for(run, COLUMNS),
        rows=tuple(rows),
        remarks=(
            "mIoU: one confusion matrix over the whole set, void ignored, mean over the classes of the truth.",
            "gain and time / plain: mIoU minus, and time divided by, that of the plain network by the same backend; "
            "±: half the width of the 95 % interval that a paired bootstrap over images gives the gain.",
            "minus control: mIoU of a swapped network minus that of the plain one that was trained again for as long, "
            "in points, with such an interval. Of several trainings of a row: the mean, each training paired with that "
            "at the same place of the other row; an interval is over images, not over trainings.",
            "trimap d: mIoU of the pixels within d pixels of a boundary of the truth, void rims being boundaries.",
            *base_remark(run, "time divided by that of", "for the same method and data"),
        ),
    )


def _control_cell(quality: Measurement | None, group: list[Measurement]) -> Cell:
    """The mIoU in points beyond that of the fair control, with its interval where there is one."""
    value, low, high = (
        quality.metric(f"miou_minus_control{end}") if quality else None for end in ("", "_low", "_high")
    )
    if value is None:
        if quality is None or quality.metric("miou") is None:
            return empty(missing(quality, "mIoU", group))
        return empty("the row has no control, or there are no weights of it")
    text = written.points(100.0 * value)
    if low is not None and high is not None:
        text += f" ({written.points(100.0 * low)} to {written.points(100.0 * high)})"
    return Cell(text=text, value=100.0 * value)
