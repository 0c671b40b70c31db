"""One case on one side: the logarithm of each round's median, or why there is none; and a round of both sides.

Where the processes of both sides took turns in a round, its log-ratio is the median over the turns of the difference
of two neighbouring turns: what slows the machine down for longer than a turn is then in both, and cancels.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .sides import Side

_FAILURES = ("failed", "error", "lost", "crashed", "timeout", "interrupted")
_WORK = ("operator", "direction", "dataset", "device", "dtype", "shapes", "flops")
"""What a case records of its work; on both sides it must be the same."""


class Key(NamedTuple):
    """What both sides know a case by; `backend` is empty where each side names its own."""

    suite: str
    case: str | None
    backend: str


@dataclass(frozen=True)
class CaseRounds:
    """One case on one side.

    Attributes:
        backend: The backend.
        method: The method, such as ``reference:conv2d``.
        logs: By round, log of the median in seconds.
        seconds: The rounds' medians.
        turns: By round, log of the median of each turn; empty for a round without turns, or in ratios to a reference.
        machines: By round, the machine that an executor ran it on; None where the run's own did.
        work: What was computed.
        reference: The case that its times were divided by; None where they are seconds.
        trouble: Why this side has no number, as the end of a sentence; None if all its rounds passed on a green gate.
        failed: Whether the trouble is a failure and not a skip.
    """

    backend: str
    method: str | None = None
    logs: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    turns: dict[int, dict[int, float]] = field(default_factory=dict)
    machines: dict[int, str | None] = field(default_factory=dict)
    work: tuple[Any, ...] = ()
    reference: str | None = None
    trouble: str | None = None
    failed: bool = False

    @property
    def direction(self) -> str | None:
        """What is timed: forward, forward_backward and so on."""
        found = self.work[_WORK.index("direction")] if self.work else None
        return found if isinstance(found, str) else None

    def work_said(self, other: CaseRounds) -> str:
        """What this side computed where the other computed something else."""
        names = zip(_WORK, self.work, other.work, strict=True)
        return ", ".join(f"{name} {mine}" for name, mine, its in names if mine != its)


def log_ratio(base: CaseRounds, new: CaseRounds, number: int) -> float:
    """Log of NEW / BASE in a round that both have: over the turns that both took, else of the rounds' medians."""
    before, after = base.turns.get(number, {}), new.turns.get(number, {})
    common = before.keys() & after.keys()
    if common:
        return statistics.median(after[turn] - before[turn] for turn in common)
    return new.logs[number] - base.logs[number]


def case_rounds(side: Side) -> dict[Key, CaseRounds]:
    """Every case of a side, in order of first appearance.

    Nothing is averaged over a failure: where one round of a case did not pass, or the backend's gate is not green,
    the case has a trouble and no rounds; and so it has where a round of a case that is timed in each left no record.
    """
    groups: dict[Key, list[dict[str, Any]]] = {}
    rows = [{str(name): value for name, value in row.items()} for row in side.rows().to_dict("records")]
    for row in rows:
        backend = "" if side.backend is not None else str(row["backend"])
        groups.setdefault(Key(str(row["suite"]), row["case"], backend), []).append(row)
    planned = side.run.settings.rounds if side.run.settings is not None else 0
    return {key: _case_rounds(sorted(rows, key=lambda row: int(row["round"])), planned) for key, rows in groups.items()}


def _case_rounds(rows: list[dict[str, Any]], planned: int) -> CaseRounds:
    first = rows[0]
    backend, method = str(first["backend"]), first["method"]
    bad = [row for row in rows if row["outcome"] != "passed"]
    red = next((row for row in rows if not row["gate_green"]), None)
    if bad:
        failures = [row for row in bad if row["outcome"] in _FAILURES] or bad
        numbers = ", ".join(str(row["round"]) for row in failures)
        worst = failures[0]
        trouble = f"{_participle(worst['outcome'])} in round {numbers}: {worst['reason'] or 'no reason was recorded'}"
        failed = worst["outcome"] in _FAILURES or red is not None
        return CaseRounds(backend, method, trouble=trouble, failed=failed)
    if red is not None:
        return CaseRounds(backend, method, trouble=f"has no green gate: {red['gate_reason']}", failed=True)
    seconds = {int(row["round"]): float(row["median_s"]) for row in rows if row["samples_s"]}
    wrong = [number for number, value in seconds.items() if not (math.isfinite(value) and value > 0)]
    if wrong:
        trouble = f"recorded no positive time in round {', '.join(map(str, wrong))}"
        return CaseRounds(backend, method, trouble=trouble, failed=True)
    gone = [str(number) for number in range(planned) if number not in seconds] if len(seconds) > 1 else []
    if gone:
        return CaseRounds(backend, method, trouble=f"has no record of round {', '.join(gone)}", failed=True)
    logs = {number: math.log(value) for number, value in seconds.items()}
    work = tuple(_plain(first[name]) for name in _WORK)
    machines = {int(row["round"]): row["machine"] for row in rows if int(row["round"]) in seconds}
    turns = {int(row["round"]): _turn_logs(row["samples_s"], row["turns"]) for row in rows if row["turns"]}
    return CaseRounds(backend, method, logs, list(seconds.values()), turns, machines, work)


def _turn_logs(samples_s: Sequence[float], turns: Sequence[int]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for turn, sample in zip(turns, samples_s, strict=True):
        found.setdefault(turn, []).append(sample)
    return {turn: math.log(median) for turn, each in found.items() if (median := statistics.median(each)) > 0}


def _participle(outcome: str) -> str:
    return {"lost": "was lost", "timeout": "ran out of time", "skipped": "was skipped", "error": "failed",
            "withheld": "was withheld", "interrupted": "was interrupted"}.get(outcome, outcome)  # fmt: skip


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
