"""The cells that the suites' tables share: a time, a metric, a ratio, memory, notes, the status of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pacbench.frame import Run

from . import number_format as written
from .cells import Cell, Column, empty, number, words
from .measurements import Measurement, backend_order, baseline_backend, worst

EVERY_CASE = "(every case)"
MEGABYTE = 1e6
Groups = dict[tuple[str, str, str], dict[str, Measurement]]


def grouped(run: Run, measured: Sequence[Measurement]) -> Groups:
    """(dataset, method, backend) -> direction -> measurement, sorted by dataset, method and backend as met.

    A job that ended without naming its cases (withheld, crashed at the start) is the method ``(every case)``.
    """
    groups: Groups = {}
    for found in measured:
        if found.method is None and found.case and found.status == "ok":
            continue  # a check that is not of any method, and passed: it is in the tidy frame
        key = (found.dataset or "", found.method or found.case or EVERY_CASE, found.backend)
        group = groups.setdefault(key, {})
        direction = found.direction or "quality"
        while direction in group:
            direction += "'"
        group[direction] = found
    datasets = list(dict.fromkeys(key[0] for key in groups))
    methods = list(dict.fromkeys(key[1] for key in groups))
    backends = backend_order(run)

    def place(key: tuple[str, str, str]) -> tuple[bool, int, int, int]:
        backend = backends.index(key[2]) if key[2] in backends else len(backends)
        return key[1] == EVERY_CASE, datasets.index(key[0]), methods.index(key[1]), backend

    return {key: groups[key] for key in sorted(groups, key=place)}


def columns_for(run: Run, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Where one backend ran, its ratio to itself is left to CSV."""
    if len(backend_order(run)) > 1:
        return columns
    return tuple(replace(column, where="data") if column.key == "ratio_to_baseline" else column for column in columns)


def base_remark(run: Run, what: str, same: str) -> list[str]:
    """What the ratio is relative to; nothing where only one backend ran."""
    if len(backend_order(run)) < 2:
        return []
    return [f"/ base: {what} backend {baseline_backend(run)}, the baseline, {same}; below 1 is faster."]


def missing(measured: Measurement | None, what: str, group: Sequence[Measurement]) -> str:
    """Why there is no `what`: the case's own reason, else that of its row, else that no such case exists."""
    if measured is not None:
        return measured.why_empty(what)
    status = worst(found.status for found in group)
    reason = next((found.reason for found in group if found.status == status and found.reason), None)
    if status != "ok" and reason and all(found.status != "ok" for found in group):
        return reason
    return f"no case of this run measures the {what} of this row"


def time_cell(measured: Measurement | None, what: str, group: Sequence[Measurement]) -> Cell:
    """The median of the rounds' medians in ms, three significant digits."""
    seconds = measured.median_s if measured else None
    scaled = None if seconds is None else seconds * 1e3
    return number(scaled, written.significant, missing(measured, what, group))


def metric_cell(
    measured: Measurement | None,
    name: str,
    what: str,
    shape: Callable[[float], str],
    group: Sequence[Measurement],
    scale: float = 1.0,
) -> Cell:
    """A named metric; `scale` multiplies what CSV carries, `shape` writes the unscaled value."""
    value = measured.metric(name) if measured else None
    cell = number(value, shape, missing(measured, what, group))
    if isinstance(cell.value, float):
        return Cell(text=cell.text, value=cell.value * scale)
    return cell


def trainings_cell(
    measured: Measurement | None, name: str, shape: Callable[[float], str], group: Sequence[Measurement]
) -> Cell:
    """Of a row of several trainings how many there are, with the least and the largest value of a metric."""
    if measured is None or measured.metric(name) is None:
        return empty(missing(measured, "quality", group))
    count, low, high = (measured.metric(key) for key in ("trainings", f"{name}_seed_low", f"{name}_seed_high"))
    if count is None or low is None or high is None:
        return empty("one training, or none")
    return words(f"{count:.0f}: {shape(low)} to {shape(high)}")


def ratio_cell(
    measured: Measurement | None, base: Measurement | None, base_name: str, group: Sequence[Measurement]
) -> Cell:
    """The time divided by the baseline's; empty where either is missing."""
    if measured is None or measured.median_s is None:
        return empty(missing(measured, "total time", group))
    if base is None or not base.median_s:
        return empty(f"there is no {base_name} to compare with")
    return number(measured.median_s / base.median_s, written.significant, "")


def memory_cell(measured: Measurement | None, group: Sequence[Measurement]) -> Cell:
    """Peak memory of one call in MB (10^6 bytes)."""
    peak = measured.peak_memory_bytes if measured else None
    scaled = None if peak is None else peak / MEGABYTE
    return number(scaled, written.significant, missing(measured, "peak memory", group))


def spread_cells(measured: Measurement | None, group: Sequence[Measurement]) -> tuple[Cell, Cell]:
    """How far the samples lie apart ((highest - lowest) / median, in %), and how many there are."""
    if measured is None or not measured.median_s or measured.low_s is None or measured.high_s is None:
        reason = missing(measured, "time", group)
        return empty(reason), empty(reason)
    if measured.samples == 1:
        return empty("one sample has no spread"), Cell(text="1", value=1)
    spread = 100.0 * (measured.high_s - measured.low_s) / measured.median_s
    return (
        number(spread, lambda value: written.significant(value, 2), ""),
        Cell(text=str(measured.samples), value=float(measured.samples)),
    )


def notes_cell(group: Sequence[Measurement]) -> Cell:
    """Parameters by name, those of the quality case first, with the notes of all the row's records."""
    ordered = sorted(group, key=lambda found: found.direction != "quality")
    parameters = next((found.parameters for found in ordered if found.parameters), {})
    notes = tuple(dict.fromkeys(note for found in ordered for note in found.notes))
    text = ", ".join(f"{name} = {value:.4g}" for name, value in parameters.items())
    if not text and not notes:
        measured = any(found.status == "ok" for found in group)
        return empty("no parameter was recorded" if measured else missing(None, "parameters", group))
    return Cell(text=text or "none", value="; ".join([text or "none", *notes]), notes=notes)


def status_cell(group: Sequence[Measurement]) -> Cell:
    """``ok``, or the worst status of the row with its reasons; a part that was skipped says so in its own cell."""
    statuses = {found.status for found in group}
    if statuses == {"ok", "skipped"}:
        return words("ok")
    status = worst(statuses)
    reasons = dict.fromkeys(found.reason for found in group if found.reason and found.status != "skipped")
    reasons = reasons or dict.fromkeys(found.reason for found in group if found.reason)
    return words(status, "; ".join(reason for reason in reasons if reason) or None)
