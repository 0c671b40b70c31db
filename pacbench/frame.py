"""A run folder read into one tidy table: everything that is told is made from it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from .records import (
    NO_CASE,
    CaseRecord,
    Collected,
    Environment,
    JobRecord,
    Line,
    RecordError,
    RunSettings,
    read_lines,
    read_one,
)
from .running.job import GATE_SUITE, plan

COLUMNS = {
    "suite": "name of the suite",
    "case": "name of the case within its suite, without the backend; missing for a job that never collected",
    "backend": "name of the backend, as asked for",
    "round": "number of the round, from 0",
    "job": "name of the job (one subprocess)",
    "outcome": "passed, failed, error, skipped; lost (collected, never ended); or how the whole job ended: "
    "crashed, timeout, interrupted, withheld",
    "reason": "why it is not passed",
    "gate": "whether the case belongs to the gate",
    "gate_green": "whether the backend's gate is green",
    "gate_reason": "why it is not",
    "method": "row of a workload, such as conv_crf_11",
    "operator": "name of the operator",
    "direction": "what was timed: forward, forward_backward, kernel, steps",
    "dataset": "name of the data",
    "device": "device type",
    "dtype": "name of the dtype",
    "shapes": "dict of shapes by argument",
    "samples_s": "list of raw timings in seconds; of a GPU those that count",
    "turns": "the turn of each sample, where the process took turns with another; else an empty list",
    "device_samples": "of a GPU, list of dicts of every timing: seconds, clocks, temperature, and why it is left out",
    "median_s": "median of samples_s: of this one process",
    "flops": "floating-point operations of one call",
    "bytes": "compulsory memory traffic of one call",
    "peak_memory_bytes": "peak memory of one call beyond what was held before",
    "metrics": "dict of quality metrics by name",
    "per_item": "dict by item of dicts of metrics",
    "parameters": "dict of a method's scalars",
    "notes": "list of remarks to print beside the row",
    "panel": "path of an example picture within the run folder",
    "duration_s": "seconds that the case took altogether",
    "machine": "machine, with its GPU, where an executor ran the job; missing where the run's own did",
    "worker": "worker of that executor",
    "attempt": "at which attempt the job came to this end: above 1 where a worker died or its result was dropped",
}
"""The columns of a run's frame, and what they hold."""

_EMPTY: dict[str, Any] = {
    "samples_s": [],
    "turns": [],
    "device_samples": [],
    "metrics": {},
    "per_item": {},
    "parameters": {},
    "panel": None,
    "median_s": float("nan"),
    "peak_memory_bytes": float("nan"),
    "duration_s": float("nan"),
}
_KINDS = dict.fromkeys(("gate", "gate_green"), "bool") | {"round": "int64", "rounds": "int64"}
_KINDS |= {"attempt": "int64"}
_KINDS |= dict.fromkeys(("median_s", "flops", "bytes", "peak_memory_bytes", "duration_s"), "float64")
_Record = TypeVar("_Record", RunSettings, Environment)


@dataclass(frozen=True, slots=True)
class GateState:
    """Whether a backend's correctness gate is green; `total` counts the cases that it set out to run."""

    green: bool
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    total: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Run:
    """What a run folder says.

    Attributes:
        folder: The run folder.
        settings: What was asked; None if its file cannot be read.
        environment: Where it ran; None if its file cannot be read.
        frame: One row per (case, backend) and round, and one per job that collected no case; see COLUMNS.
        gate: State of each backend's gate.
        jobs: The last record of each job.
        problems: One line for each file that cannot be read, naming it.
    """

    folder: Path
    settings: RunSettings | None
    environment: Environment | None
    frame: pd.DataFrame
    gate: dict[str, GateState]
    jobs: dict[str, JobRecord]
    problems: list[str] = field(default_factory=list)


def read_run(folder: Path) -> Run:
    """Read a run folder; files that cannot be read become problems, and the rest goes on.

    Raises:
        RecordError: the folder is not there or is not a run folder.
    """
    folder = Path(folder)
    if not (folder / "run.json").exists() and not (folder / "records").is_dir():
        raise RecordError(f"{folder}: got neither run.json nor records/, expected the folder of a run")
    problems: list[str] = []
    settings = _read_optional(folder / "run.json", RunSettings, problems)
    environment = _read_optional(folder / "environment.json", Environment, problems)
    jobs = {line.job: line for line in _lines([folder / "jobs.jsonl"], problems) if isinstance(line, JobRecord)}
    lines = _lines(sorted((folder / "records").glob("*.jsonl")), problems)
    collected = {(line.job, line.backend): line for line in lines if isinstance(line, Collected)}
    cases = {(line.job, line.backend, line.case): line for line in lines if isinstance(line, CaseRecord)}

    rows = [_case_row(record) for record in cases.values()]
    rows += _lost_rows(collected.values(), cases, jobs)
    rows += _job_rows(settings, jobs, {row["job"] for row in rows}, folder, problems)
    backends = dict.fromkeys([*(settings.backends if settings else []), *(row["backend"] for row in rows)])
    gate = {backend: _gate_state([row for row in rows if row["backend"] == backend]) for backend in backends}
    for row in rows:
        row |= _where(jobs.get(row["job"]), row["notes"])
        row |= {"gate_green": gate[row["backend"]].green, "gate_reason": gate[row["backend"]].reason}
    frame = _table(rows, list(COLUMNS))
    return Run(folder, settings, environment, frame, gate, jobs, problems)


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every number taken out that may not be shown, and the reason in its place.

    Timings, memory, metrics and pictures are blanked in rows whose case did not pass and in all rows of a
    backend whose gate is not green.
    """
    frame = frame.copy()
    withheld = ~frame["gate_green"].astype(bool)
    hidden = withheld | (frame["outcome"] != "passed")
    for column, empty in _EMPTY.items():
        if column in frame:
            values = [_fresh(empty) if hide else value for value, hide in zip(frame[column], hidden, strict=True)]
            frame[column] = pd.Series(values, index=frame.index, dtype=frame[column].dtype)
    why = withheld & ~frame["gate"].astype(bool) & (frame["outcome"] == "passed")
    reasons = [
        f"gate is not green: {gate_reason}" if red else reason
        for reason, gate_reason, red in zip(frame["reason"], frame["gate_reason"], why, strict=True)
    ]
    frame["reason"] = pd.Series(reasons, index=frame.index, dtype=object)
    return frame


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per (suite, case, backend); the unit of timing is the round, so medians are of rounds' medians.

    Adds `rounds` (how many have timings) and `round_medians_s`; `outcome` and `reason` are those of the first
    round that did not pass, if any, notes are those of all rounds, and all else is as the first round that passed tells
    it.
    """
    rows: list[dict[str, Any]] = []
    for _, group in frame.groupby(["suite", "case", "backend"], sort=False, dropna=False):
        group = group.sort_values("round", kind="stable")
        passed = group["outcome"] == "passed"
        described = (group[passed] if passed.any() else group).iloc[0]
        row: dict[str, Any] = {str(name): value for name, value in described.items()}
        if not passed.all():
            worse = group[~passed].iloc[0]
            row |= {"outcome": worse["outcome"], "reason": worse["reason"]}
        medians = group["median_s"].dropna().tolist()
        memory = group["peak_memory_bytes"].dropna()
        row |= {
            **{
                name: [sample for samples in group[name] for sample in samples]
                for name in ("samples_s", "device_samples")
            },
            "turns": [],
            "notes": list(dict.fromkeys(note for notes in group["notes"] for note in notes)),
            "median_s": statistics.median(medians) if medians else float("nan"),
            "peak_memory_bytes": memory.median() if len(memory) else float("nan"),
            "rounds": len(medians),
            "round_medians_s": medians,
        }
        rows.append(row)
    return _table(rows, [*COLUMNS, "rounds", "round_medians_s"])


def _table(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Numbers as float64 with NaN where missing, truths as bool, all else as objects with None where missing."""
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    frame = frame.where(frame.notna(), None)
    return frame.astype({name: kind for name, kind in _KINDS.items() if name in columns})


def _fresh(empty: Any) -> Any:
    return empty.copy() if isinstance(empty, (list, dict)) else empty


def _read_optional(path: Path, kind: type[_Record], problems: list[str]) -> _Record | None:
    try:
        return read_one(path, kind) if path.exists() else None
    except RecordError as error:
        problems.append(str(error))
        return None


def _lines(paths: Iterable[Path], problems: list[str]) -> list[Line]:
    lines: list[Line] = []
    for path in paths:
        try:
            lines += read_lines(path) if path.exists() else []
        except RecordError as error:
            problems.append(str(error))
    return lines


def _case_row(record: CaseRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in COLUMNS if name in CaseRecord.model_fields}
    row["device_samples"] = [sample.model_dump() for sample in record.device_samples]
    row["median_s"] = statistics.median(record.samples_s) if record.samples_s else None
    return row


def _where(job: JobRecord | None, notes: list[str]) -> dict[str, Any]:
    """Where a row's job ran; if that did not come home at once, the row says so beside its other notes."""
    if job is None:
        return {"machine": None, "worker": None, "attempt": 1}
    told: dict[str, Any] = {"machine": job.machine, "worker": job.worker, "attempt": job.attempt}
    if job.attempt > 1:
        where = f" on {job.machine} ({job.worker})" if job.machine else ""
        told["notes"] = [*notes, f"attempt {job.attempt}{where}, after: {'; '.join(job.before)}"]
    return told


def _bare_row(job: str, suite: str, backend: str, round_: int, outcome: str, reason: str) -> dict[str, Any]:
    return {
        "suite": suite, "backend": backend, "round": round_, "job": job, "outcome": outcome, "reason": reason,
        "gate": suite == GATE_SUITE, "shapes": {}, "notes": [],
    } | {name: _fresh(value) for name, value in _EMPTY.items()}  # fmt: skip


def _lost_rows(
    collected: Iterable[Collected], cases: Container[tuple[str, str, str]], jobs: dict[str, JobRecord]
) -> list[dict[str, Any]]:
    rows = []
    for line in collected:
        job = jobs.get(line.job)
        reason = "the run was killed before this job ended"
        if job is not None:
            reason = job.reason or f"the job {job.outcome} without a record of this case"
        rows += [
            _bare_row(line.job, line.suite, line.backend, line.round, "lost", reason) | {"case": case}
            for case in line.cases
            if (line.job, line.backend, case) not in cases
        ]
    return rows


def _job_rows(
    settings: RunSettings | None,
    jobs: dict[str, JobRecord],
    seen: Container[str],
    folder: Path,
    problems: list[str],
) -> list[dict[str, Any]]:
    """Rows of jobs that collected nothing: they ended too early, found no case, or never started."""
    rows = []
    for job in jobs.values():
        if job.job not in seen and not (job.round > 0 and job.outcome == "completed" and job.reason == NO_CASE):
            unread = [problem for problem in problems if f"{folder / 'records' / job.job}.jsonl" in problem]
            outcome = "lost" if job.outcome == "completed" else job.outcome
            reason = unread[0] if unread else job.reason or "its records are not there"
            rows.append(_bare_row(job.job, job.suite, job.backend, job.round, outcome, reason))
    for planned in plan(settings) if settings else []:
        if planned.name not in jobs and planned.name not in seen:
            reason = "never started: the run was interrupted before"
            rows.append(_bare_row(planned.name, planned.suite, planned.backend, planned.round, "lost", reason))
    return rows


def _gate_state(rows: list[dict[str, Any]]) -> GateState:
    rows = [row for row in rows if row["gate"]]
    cases = [row for row in rows if row.get("case") is not None]
    count = Counter(row["outcome"] for row in cases)
    passed, skipped = count["passed"], count["skipped"]
    failed = len(cases) - passed - skipped
    reason = None
    red = [row for row in rows if row["outcome"] not in ("passed", "skipped")]
    if red:
        first = red[0].get("case") or "the job"
        reason = f"{first}: {red[0]['reason']}"
        if cases:
            reason = f"{failed} of {len(cases)} gate cases not passed, first {reason}"
    elif not rows:
        reason = "the gate has not been run"
    elif not passed:
        reason = f"every gate case was skipped: {rows[0]['reason']}"
    return GateState(reason is None, passed, failed, skipped, len(cases), reason)
