"""From the tidy frame to one measurement per case and backend, over all rounds.

Two rules live here. A backend whose gate is not green has no number: :func:`measurements` drops every value
of it and keeps the reason. And only what passed is measured: a round that failed gives a status, never a value.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pacbench.frame import Run, shown

from .escaping import plain

DIRECTIONS = ("quality", "total", "kernel", "steps", "forward", "forward_backward", "forward+backward")
REFERENCE = "reference:"
_WORST_FIRST = ("error", "failed", "crashed", "timeout", "lost", "interrupted", "withheld", "skipped")


@dataclass(frozen=True)
class Measurement:
    """One case of one backend.

    `status` is ``ok``, ``red gate``, ``withheld`` (no green gate, but no red one) or the worst outcome of the rounds.
    """

    suite: str
    case: str | None
    backend: str
    status: str
    reason: str | None = None
    method: str | None = None
    operator: str | None = None
    direction: str | None = None
    dataset: str | None = None
    device: str | None = None
    rounds: int = 0
    samples: int = 0
    median_s: float | None = None
    low_s: float | None = None
    high_s: float | None = None
    flops: float | None = None
    compulsory_bytes: float | None = None
    peak_memory_bytes: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    per_item: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def metric(self, name: str) -> float | None:
        """The metric of that name, upper or lower case; None where it was not recorded."""
        return next((value for key, value in self.metrics.items() if key.lower() == name.lower()), None)

    def why_empty(self, what: str) -> str:
        """Why the cell of `what` (time, mIoU, …) has no number."""
        if self.reason and self.status != "ok":
            return self.reason
        return f"{what} was not recorded by {self.case or 'this job'}"


def text_or_none(value: object) -> str | None:
    """A cell of the frame as text; a missing one as None."""
    return value if isinstance(value, str) and value else None


def number_or_none(value: object) -> float | None:
    """A cell of the frame as a number; a missing one (None, NaN of pandas) as None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = float(value)
    return None if math.isnan(number) else number


def told_frame(run: Run) -> pd.DataFrame:
    """The run's frame as it may be told: `pacbench.frame.shown`, so without a number on a red gate.

    A plain torch reference (``reference:conv2d``) that a suite records as a backend of its own is no backend
    under test and has no gate; one that was asked for as a backend has.
    """
    frame = run.frame.copy()
    asked = run.settings.backends if run.settings else []
    frame["gate_green"] = [
        bool(green) or (isinstance(backend, str) and backend.startswith(REFERENCE) and backend not in asked)
        for green, backend in zip(frame["gate_green"], frame["backend"], strict=True)
    ]
    return shown(frame)


def backend_order(run: Run) -> list[str]:
    """Backends in the order in which they were asked for, then any others as they occur."""
    asked = list(run.settings.backends) if run.settings else []
    return list(dict.fromkeys([*asked, *_texts(run, "backend")]))


def gate_word(run: Run, backend: str) -> str:
    """One word for a gate: green, red, skipped (the backend cannot run here) or not run."""
    state = run.gate.get(backend)
    gate_rows = run.frame["gate"].astype(bool) & (run.frame["backend"] == backend)
    if state is None or not gate_rows.any():
        return "not run"
    if state.green:
        return "green"
    return "skipped" if 0 < state.total == state.skipped else "red"


def suite_order(run: Run) -> list[str]:
    """Suites in the order in which they were asked for, then any others as they occur."""
    asked = list(run.settings.suites) if run.settings else []
    return list(dict.fromkeys([*asked, *_texts(run, "suite")]))


def baseline_backend(run: Run) -> str | None:
    """The backend that time ratios are relative to: ``unfold`` where it was run, else the first asked for."""
    backends = backend_order(run)
    if "unfold" in backends:
        return "unfold"
    return backends[0] if backends else None


def bracket_words(case: str | None) -> list[str]:
    """The words in a case's brackets: ``test_time[pac_crf_32-kernel]`` -> ``[pac_crf_32, kernel]``."""
    found = re.search(r"\[(.*)\]", case or "")
    return found.group(1).split("-") if found else []


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict(orient="records")]


def measurements(run: Run, suite: str) -> list[Measurement]:
    """Every case of `suite` for every backend, in order of first appearance; gate cases are left out."""
    rows = [row for row in rows_of(told_frame(run)) if row["suite"] == suite and not row["gate"]]
    described = _descriptions(rows)
    groups: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
    for row in rows:
        key = (text_or_none(row.get("case")), text_or_none(row.get("backend")) or "no backend")
        groups.setdefault(key, []).append(row)
    barred = {
        backend: "red gate" if gate_word(run, backend) == "red" else "withheld"
        for backend in {backend for _, backend in groups}
    }
    return [
        _measurement(suite, case, backend, group, described.get(case, {}), barred[backend])
        for (case, backend), group in groups.items()
    ]


def worst(statuses: Iterable[str]) -> str:
    """The status that a row of several measurements has."""
    found = set(statuses)
    if "red gate" in found:
        return "red gate"
    return next((status for status in _WORST_FIRST if status in found), "ok" if found <= {"ok"} else min(found))


def explained(outcome: str, reason: str | None, rounds: Iterable[int] = ()) -> str:
    """One sentence for an outcome that is not a pass: ``skipped (round 1): no compiler``."""
    listed = ", ".join(str(number) for number in sorted(set(rounds)))
    where = f" (round {listed})" if listed else ""
    return f"{outcome}{where}: {plain(reason) if reason else 'no reason was recorded'}"


def _texts(run: Run, column: str) -> list[str]:
    if column not in run.frame.columns:
        return []
    return [value for value in run.frame[column].tolist() if isinstance(value, str) and value]


def _descriptions(rows: list[dict[str, Any]]) -> dict[str | None, dict[str, str]]:
    """What each case is about, from any of its records: a lost or withheld row has none of its own."""
    methods = {value for row in rows if (value := text_or_none(row.get("method")))}
    datasets = {value for row in rows if (value := text_or_none(row.get("dataset")))}
    with_method = {_stem(text_or_none(row.get("case"))) for row in rows if text_or_none(row.get("method"))}
    described: dict[str | None, dict[str, str]] = {}
    for row in rows:
        case = text_or_none(row.get("case"))
        known = described.setdefault(case, {})
        for name in ("method", "operator", "direction", "dataset"):
            value = text_or_none(row.get(name))
            if value and case:
                known.setdefault(name, value)
    for case, known in described.items():
        parts = bracket_words(case)
        candidates = [part for part in parts if part in methods]
        if not candidates and _stem(case) in with_method:
            candidates = parts[:1]
        if candidates:
            known.setdefault("method", candidates[0])
        directions = [part for part in parts if part in DIRECTIONS]
        if directions:
            known.setdefault("direction", directions[0])
        if len(datasets) == 1 and case:
            known.setdefault("dataset", next(iter(datasets)))
    return described


def _stem(case: str | None) -> str:
    return (case or "").partition("[")[0]


def _measurement(
    suite: str, case: str | None, backend: str, group: list[dict[str, Any]], known: dict[str, str], barred: str
) -> Measurement:
    passed = [row for row in group if row.get("outcome") == "passed"]
    status, reason = _status(group)
    if not all(bool(row["gate_green"]) for row in group):
        why = next((text for row in group if (text := text_or_none(row["gate_reason"]))), None)
        sentence = f"the gate of {backend} is not green: {plain(why) if why else 'no reason was recorded'}"
        passed, status = [], barred if status in ("ok", "withheld") else status
        reason = sentence if status == barred else f"{reason}; {sentence}"
    samples = [float(value) for row in passed for value in _list(row.get("samples_s"))]
    medians = [value for row in passed if (value := number_or_none(row.get("median_s"))) is not None]
    peaks = [value for row in passed if (value := number_or_none(row.get("peak_memory_bytes"))) is not None]
    notes = dict.fromkeys(plain(str(note)) for row in passed for note in _list(row.get("notes")))
    first = passed[0] if passed else {}
    return Measurement(
        suite=suite,
        case=case,
        backend=backend,
        status=status,
        reason=reason,
        method=known.get("method"),
        operator=known.get("operator"),
        direction=known.get("direction"),
        dataset=known.get("dataset"),
        device=text_or_none(first.get("device")),
        rounds=len(medians),
        samples=len(samples),
        median_s=statistics.median(medians) if medians else None,
        low_s=min(samples) if samples else None,
        high_s=max(samples) if samples else None,
        flops=number_or_none(first.get("flops")),
        compulsory_bytes=number_or_none(first.get("bytes")),
        peak_memory_bytes=max(peaks) if peaks else None,
        metrics=_middle(passed, "metrics"),
        per_item=next((found for row in passed if isinstance(found := row.get("per_item"), dict) and found), {}),
        parameters=_middle(passed, "parameters"),
        notes=tuple(notes),
    )


def _status(group: list[dict[str, Any]]) -> tuple[str, str | None]:
    bad = [row for row in group if row.get("outcome") != "passed"]
    if not bad:
        return "ok", None
    status = worst(str(row.get("outcome")) for row in bad)
    rounds = [int(row["round"]) for row in bad if row.get("outcome") == status and _is_round(row.get("round"))]
    reasons = dict.fromkeys(text_or_none(row.get("reason")) for row in bad if row.get("outcome") == status)
    told = "; ".join(reason for reason in reasons if reason) or None
    everywhere = len(bad) == len(group)
    return status, explained(status, told, () if everywhere else rounds)


def _is_round(value: object) -> bool:
    return (number := number_or_none(value)) is not None and number.is_integer()


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _middle(rows: list[dict[str, Any]], column: str) -> dict[str, float]:
    """The median over rounds of every named value (quality is measured once, so mostly the value itself)."""
    values: dict[str, list[float]] = {}
    for row in rows:
        found = row.get(column)
        for name, value in found.items() if isinstance(found, dict) else ():
            if isinstance(value, (int, float)):
                values.setdefault(str(name), []).append(float(value))
    return {name: statistics.median(found) for name, found in values.items()}
