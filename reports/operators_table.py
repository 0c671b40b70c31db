"""The operators' table: cases × directions × backends, with ratios, GFLOP/s, % of the FMA peak and memory.

Whole CRFs are rows too; what plain torch operators are to operators, Full-CRF by pydensecrf2 is to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pacbench.frame import Run

from . import number_format as written
from .cells import Cell, Column, Row, SummaryTable, empty, number, words
from .measurements import DIRECTIONS, REFERENCE, Measurement, backend_order, bracket_words, measurements
from .row_cells import EVERY_CASE, memory_cell, missing, spread_cells, status_cell, time_cell

COLUMNS = (
    Column("workload", "case", numeric=False),
    Column("direction", "direction", numeric=False),
    Column("backend", "backend", numeric=False),
    Column("time_ms", "time ms"),
    Column("ratio_to_unfold", "/ unfold"),
    Column("ratio_to_reference", "/ ref."),
    Column("gflops", "GFLOP/s"),
    Column("intensity", "FLOP/byte", where="documents"),
    Column("fma_peak_percent", "% peak"),
    Column("peak_memory_mb", "memory MB"),
    Column("spread_percent", "spread %", where="documents"),
    Column("samples", "samples", where="data"),
    Column("status", "status", numeric=False),
)
_Key = tuple[str, str, str, str]
_FULL_CRF = f"{REFERENCE}full_crf"
_DIRECTION_TEXTS = dict.fromkeys(("forward+backward", "forward_backward"), "forward + backward")


def operators_table(run: Run, suite: str = "operators") -> SummaryTable:
    """Time, ratio to unfold, ratio to the plain torch operator, GFLOP/s, % of the FMA peak, peak memory."""
    found = measurements(run, suite)
    keyed = {(workload_of(one), one.direction or "", executor_of(one), one.backend): one for one in found}
    unfold = {key[:2]: one for key, one in keyed.items() if key[2] == "unfold"}
    references = _References(keyed)
    rows: list[Row] = []
    for key in sorted(keyed, key=_place(run, list(keyed))):
        workload, direction, executor, backend = key
        one = keyed[key]
        rows.append(
            (
                words(workload),
                Cell(text=_DIRECTION_TEXTS.get(direction, direction), value=direction),
                Cell(text=_executor_text(executor, backend), value=executor),
                time_cell(one, "time", [one]),
                _ratio(one, unfold.get((workload, direction)), "unfold was not timed on this case"),
                _reference_ratio(one, references.of(key)),
                _gflops(one),
                _intensity(one),
                _peak_percent(run, one),
                memory_cell(one, [one]),
                *spread_cells(one, [one]),
                status_cell([one]),
            )
        )
    return SummaryTable(
        name=suite,
        title="Operators",
        caption=f"Time and throughput by backend, times in ms for one call. {_allocator(run)}",
        columns=COLUMNS,
        rows=tuple(rows),
        remarks=(
            "/ unfold: time divided by that of backend unfold, the baseline, on the same case and direction; "
            "below 1 is faster.",
            "/ ref.: time divided by that of the plain torch operator of the same sizes (no adapting kernel), for a "
            "whole CRF by that of Full-CRF by pydensecrf2 on the same image (set-up and steps), measured in the same "
            "run.",
            "FLOP/byte: operations of one call for each byte that it must read or write at least (inputs and outputs "
            "once, with backward their gradients too).",
            _peak_remark(run),
        ),
    )


class _References:
    """What each row is a ratio to: timed in the same process where it was, else in any."""

    def __init__(self, keyed: Mapping[_Key, Measurement]) -> None:
        self._keyed = keyed
        self._full_crf = {
            (_size(key[0]), key[1], backend): one
            for key, one in keyed.items()
            if key[2] == _FULL_CRF
            for backend in ("", one.backend)
        }
        self._plain = {
            (*key[:2], backend): one
            for key, one in keyed.items()
            if key[2].startswith(REFERENCE) and key[2] != _FULL_CRF
            for backend in ("", one.backend)
        }

    def of(self, key: _Key) -> Measurement | None:
        workload, direction, _, backend = key
        crf = (self._keyed[key].operator or "").endswith("CRF")
        found, name = (self._full_crf, _size(workload)) if crf else (self._plain, workload)
        return found.get((name, direction, backend)) or found.get((name, direction, ""))


def _size(workload: str) -> str:
    """What a case's name says of the size of its image: ``small``, or nothing."""
    return workload.partition("-")[2]


def executor_of(one: Measurement) -> str:
    """Who did the work: the backend, or the plain torch reference that was timed in its process."""
    return one.method if one.method and one.method.startswith(REFERENCE) else one.backend


def _executor_text(executor: str, backend: str) -> str:
    """A plain torch operator, or Full-CRF, is told with the backend in whose process it was timed."""
    if not executor.startswith(REFERENCE) or backend == executor:
        return executor
    return f"{executor.removeprefix(REFERENCE)} beside {backend}"


def workload_of(one: Measurement) -> str:
    """The case without its direction and without the name of a plain torch reference."""
    parts = bracket_words(one.case)
    if not parts:
        return one.method or one.case or EVERY_CASE
    kept = [part for part in parts if part not in DIRECTIONS and not part.startswith(REFERENCE)]
    return "-".join(kept) or one.case or EVERY_CASE


def _place(run: Run, keys: list[_Key]) -> Callable[[_Key], tuple[bool, int, int, bool, int]]:
    workloads = list(dict.fromkeys(key[0] for key in keys))
    directions = list(dict.fromkeys([*DIRECTIONS, *(key[1] for key in keys)]))
    backends = backend_order(run)

    def place(key: _Key) -> tuple[bool, int, int, bool, int]:
        backend = backends.index(key[3]) if key[3] in backends else len(backends)
        is_reference = key[2].startswith(REFERENCE)
        return (
            key[0] == EVERY_CASE,
            workloads.index(key[0]),
            directions.index(key[1]),
            not is_reference,
            backend,
        )

    return place


def _ratio(one: Measurement, base: Measurement | None, why: str) -> Cell:
    if one.median_s is None:
        return empty(missing(one, "time", [one]))
    if base is None or not base.median_s:
        return empty(base.reason if base and base.reason else why)
    return number(one.median_s / base.median_s, written.significant, "")


def _reference_ratio(one: Measurement, reference: Measurement | None) -> Cell:
    measured = one.metrics.get("ratio_to_reference")
    if measured is not None:
        return number(measured, written.significant, "")
    return _ratio(one, reference, "no plain torch operator and no Full-CRF was timed on this case")


def _gflops(one: Measurement) -> Cell:
    if one.median_s is None:
        return empty(missing(one, "time", [one]))
    if not one.flops:
        return empty(f"{one.case} records no count of FLOPs")
    return number(one.flops / one.median_s / 1e9, written.significant, "")


def _intensity(one: Measurement) -> Cell:
    """Operations for each byte of compulsory traffic: where the case stands under the roofline."""
    if one.flops is None and one.status != "ok":
        return empty(missing(one, "intensity", [one]))
    if not one.flops or not one.compulsory_bytes:
        return empty(f"{one.case} records no count of {'bytes' if one.flops else 'FLOPs'}")
    return number(one.flops / one.compulsory_bytes, written.significant, "")


def _peak_percent(run: Run, one: Measurement) -> Cell:
    throughput = _gflops(one)
    if not isinstance(throughput.value, float):
        return throughput
    if one.device is not None and one.device != "cpu":
        return empty(f"the FMA peak was measured on the CPU, and this case ran on {one.device}")
    environment = run.environment
    if environment is None or not environment.fma_peak_gflops:
        said = environment.fma_peak_reason if environment else "the run has no environment.json"
        return empty(f"the FMA peak was not measured: {said or 'no reason was recorded'}")
    return number(100.0 * throughput.value / environment.fma_peak_gflops, written.one_decimal, "")


def _peak_remark(run: Run) -> str:
    peak = run.environment.fma_peak_gflops if run.environment else None
    if not peak:
        return "% peak: of this machine's FMA peak, which was not measured in this run."
    return f"% peak: of this machine's FMA peak, {peak:.0f} GFLOP/s, measured in this run."


def _allocator(run: Run) -> str:
    """The allocator's setting by its name and as the run's environment describes it: the same for every row."""
    name = run.settings.allocator if run.settings else "not known"
    said = f" ({run.environment.allocator})" if run.environment else ""
    return f"Allocator, the same for every row: {name}{said}."
