"""The tables of the interleaved benchmark: what was measured, and the targets beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pacbench.records import CaseRecord, Environment, Line

from .cases import DIRECTIONS
from .targets import TARGETS, UPSAMPLING, WORKLOADS, Judgement, Key, judge

Write = Callable[[float], str]

MACHINE = "machine"
"""Case of the record that says how busy the machine was."""
BUSY = "busy_percent"
"""Its figure: percent of all processors' time that other processes took before anything was measured."""

_WORTH_A_WORD = 5.0
_DIRECTION_TEXTS = {"forward": "forward", "forward_backward": "forward + backward"}


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _tenth(value: float) -> str:
    return f"{value:.1f}"


def _hundredth(value: float) -> str:
    return f"{value:.2f}"


def _power(value: float) -> str:
    return f"{value:.1e}"


def _times(value: float) -> str:
    return f"{_short(value)} x"


FIGURES: Mapping[str, tuple[str, Write]] = {
    "percent_of_fma_peak": ("% of the FMA peak", _tenth),
    "percent_of_useful_floor": ("% of the useful-tap floor", _tenth),
    "percent_of_pooling_floor": ("% of the pooling floor", _tenth),
    "ratio_to_plain": ("time / plain torch operator", _hundredth),
    "times_faster_than_against": ("faster than the backend compared with", _times),
    "times_faster_than_full_crf": ("faster than Full-CRF", _times),
    "lattice_times_faster_on_1_thread": ("Full-CRF: our lattice on 1 thread, faster than pydensecrf2", _times),
    "lattice_times_faster_on_2_threads": ("Full-CRF: our lattice on 2 threads, faster than pydensecrf2", _times),
    "extra_memory_mb_per_thread": ("extra memory, MB a thread", _hundredth),
    "memory_growth_with_height": ("memory on twice the height, times", _hundredth),
    "memory_growth_with_taps": ("memory with 9 x 9 taps for 5 x 5, times", _hundredth),
    "speedup_of_2_threads": ("2 threads, times faster than 1", _hundredth),
    "spread_over_image_sizes_percent": ("spread of time per pixel, %", _tenth),
    "avx2_ratio_to_avx512": ("AVX2 time / AVX-512 time", _hundredth),
    "relative_error": ("max error / max value", _power),
    "memory_share_of_against": ("peak memory / that of the backend compared with", _hundredth),
}
"""What a target's figure is called, and how it is written."""

COLUMNS: tuple[tuple[str, tuple[str, ...], Write], ...] = (
    ("ms", ("ms",), _short),
    ("plain ms", ("plain_ms",), _short),
    ("GFLOP/s", ("gflops",), _short),
    ("FMA peak", ("fma_peak_gflops",), _short),
    ("% peak", ("percent_of_fma_peak",), _tenth),
    ("% floor", ("percent_of_useful_floor", "percent_of_pooling_floor"), _tenth),
    ("/ plain", ("ratio_to_plain",), _hundredth),
    ("x against", ("times_faster_than_against",), _short),
    ("x Full-CRF", ("times_faster_than_full_crf",), _short),
    ("lattice ms", ("lattice_2_threads_ms",), _short),
    ("MB a thread", ("extra_memory_mb_per_thread",), _hundredth),
    ("peak MB", ("peak_mb",), _short),
    ("plain MB", ("plain_peak_mb",), _short),
    ("against MB", ("against_peak_mb",), _short),
    ("error", ("relative_error",), _power),
)
"""Headings of the table of samples, and the figures that a column takes, the first that there is."""


def figures_of(lines: Iterable[Line]) -> dict[Key, float]:
    """Every measured figure by workload, direction and name; a small case's under its name with ``-small``."""
    found: dict[Key, float] = {}
    for record in _passed(lines):
        workload = _workload(record)
        for name, value in record.metrics.items():
            found[workload, record.direction or "", name] = value
    return found


def tables(lines: Sequence[Line], *, against: str | None) -> list[RenderableType]:
    """What was measured, then the targets of these cases as met, missed or not measured, then the notes."""
    figures = figures_of(lines)
    environment = next((line for line in lines if isinstance(line, Environment)), None)
    shown: list[RenderableType] = [Text("Interleaved samples", style="bold"), Text(_caption(environment, against))]
    busy = next((line.metrics[BUSY] for line in lines if isinstance(line, CaseRecord) and BUSY in line.metrics), 0.0)
    if busy > _WORTH_A_WORD:
        warning = f"Other processes kept the processors {busy:.0f} % busy when it began: these are no clean numbers."
        shown.append(Text(warning, style="red"))
    shown.append(_measured(lines, figures))
    asked = {_workload(line) for line in lines if isinstance(line, CaseRecord)}
    judged = [one for one in judge(figures, TARGETS) if one.target.workload in asked]
    if judged:
        shown += [Text("Targets", style="bold"), _judged(judged), Text(_count(judged)), Text("")]
    else:
        shown += [Text("The targets are for the sizes that users have: no case of those was asked for."), Text("")]
    shown += [Text(note, style="dim") for note in _notes(lines)]
    return shown


def _measured(lines: Iterable[Line], figures: Mapping[Key, float]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("workload", no_wrap=True)
    table.add_column("direction", no_wrap=True)
    columns = [column for column in COLUMNS if any(key[2] in column[1] for key in figures)]
    for heading, _, _ in columns:
        table.add_column(heading, justify="right")
    names = dict.fromkeys(_workload(record) for record in _passed(lines))
    for workload in names:
        for direction in DIRECTIONS:
            cells = [_cell(figures, workload, direction, keys, write) for _, keys, write in columns]
            if any(cells):
                table.add_row(workload, _DIRECTION_TEXTS[direction], *cells)
    return table


def _cell(figures: Mapping[Key, float], workload: str, direction: str, names: Iterable[str], write: Write) -> str:
    return next((write(figures[key]) for name in names if (key := (workload, direction, name)) in figures), "")


def _judged(judged: Iterable[Judgement]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in ("workload", "direction", "figure"):
        table.add_column(heading, no_wrap=True)
    table.add_column("measured", justify="right")
    table.add_column("target", justify="right")
    table.add_column("")
    for one in sorted(judged, key=lambda one: (*WORKLOADS, UPSAMPLING).index(one.target.workload)):
        target = one.target
        title, write = FIGURES[target.figure]
        sign = "≥" if target.comparison == ">=" else "≤"
        table.add_row(
            target.workload,
            _DIRECTION_TEXTS[target.direction],
            title,
            "" if one.value is None else write(one.value),
            f"{sign} {write(target.bar)}",
            _verdict(one),
        )
    return table


def _verdict(one: Judgement) -> Text:
    if one.met is None:
        return Text("not measured", style="dim")
    return Text("met", style="green") if one.met else Text("missed", style="red")


def _count(judged: Sequence[Judgement]) -> str:
    met, missed = (sum(one.met is state for one in judged) for state in (True, False))
    rest = len(judged) - met - missed
    return f"{met} targets met, {missed} missed" + (f", {rest} not measured" if rest else "")


def _caption(environment: Environment | None, against: str | None) -> str:
    told = "Medians of samples taken in turns in one process, float32."
    if against:
        told += f" 'x against': times faster than backend {against}."
    if environment is not None:
        told += (
            f" {environment.processor}, {environment.threads} threads, torch {environment.torch}; "
            f"allocator: {environment.allocator}."
        )
    return told


def _notes(lines: Iterable[Line]) -> list[str]:
    notes: dict[str, None] = {}
    for line in lines:
        if not isinstance(line, CaseRecord):
            continue
        if line.outcome != "passed":
            notes[f"{line.case}: {line.outcome}: {line.reason}"] = None
        elif line.notes[1:]:
            notes[f"{line.case}: {'; '.join(line.notes[1:])}"] = None
        for item, values in line.per_item.items():
            if "ns_per_pixel" in values:
                notes[f"{line.case}: {item}: {values['ns_per_pixel']:.2f} ns a pixel"] = None
    return list(notes)


def _passed(lines: Iterable[Line]) -> list[CaseRecord]:
    return [line for line in lines if isinstance(line, CaseRecord) and line.outcome == "passed"]


def _workload(record: CaseRecord) -> str:
    return record.case.partition("[")[2].removesuffix("]").rpartition("-")[0]
