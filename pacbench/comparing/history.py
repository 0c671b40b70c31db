"""Performance over months: one file a run in a folder that is only ever added to."""

from __future__ import annotations

import hashlib
import math
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from pacbench.frame import Run
from pacbench.records import Environment, RecordError, read_one, write_one, write_text
from pacbench.resources import BudgetError, ResourceBudget, budget_text, read_budget

from .case_rounds import case_rounds
from .sides import Side

BUDGETS = "budgets"
_MACHINE = ("processor", "cores", "threads", "gpu")


class HistoryError(ValueError):
    """A run that cannot be added; the message is one line."""


class HistoryCase(BaseModel):
    """One case of one run: the median of each of its rounds in seconds, or why there is none.

    `failed` says whether a trouble is a failure; a case that was skipped has one that is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    case: str
    backend: str
    rounds_s: list[float]
    trouble: str | None = None
    failed: bool = True

    @model_validator(mode="after")
    def _has_times_or_a_trouble(self) -> Self:
        timed = bool(self.rounds_s) and all(0 < seconds < math.inf for seconds in self.rounds_s)
        if self.trouble is None and not timed:
            raise ValueError(f"rounds_s: got {self.rounds_s}, expected positive times or a trouble")
        return self


class HistoryEntry(BaseModel):
    """One run.

    Attributes:
        at: When it was started.
        commit: What was measured.
        subject: First line of the commit's message.
        profile: How much was measured.
        environment: Where it ran.
        cases: Every case that is timed or did not pass.
        budgets: By backend, the name of its resource budget in the history's folder `budgets`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    commit: str
    subject: str
    profile: str
    environment: Environment
    cases: list[HistoryCase]
    budgets: dict[str, str] = {}

    @property
    def machine(self) -> str:
        """What runs must share to lie on one line."""
        values = [str(getattr(self.environment, name)) for name in _MACHINE]
        return f"{values[0]}, {values[1]} cores, {values[2]} threads" + (f", {values[3]}" if values[3] != "[]" else "")

    @property
    def moment(self) -> datetime:
        """When it was started, to order runs of any time zones by; the beginning of time where `at` does not say."""
        try:
            found = datetime.fromisoformat(self.at)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    @property
    def digest(self) -> str:
        """Names the run: the same run is added once, whatever budget lies beside it."""
        return _digest(self.model_dump_json(exclude={"budgets": True, "cases": {"__all__": {"failed"}}}))[:10]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A run in which a case has no number: why, and whether that is a failure and not a skip."""

    entry: HistoryEntry
    why: str
    failed: bool


@dataclass(frozen=True)
class Series:
    """One case on one machine over time, oldest first.

    Attributes:
        machine: Where.
        suite: Name of the suite.
        case: Name of the case.
        backend: Name of the backend.
        profile: How much was measured.
        entries: The runs in which it passed.
        medians_s: The median of each of these runs, in seconds.
        troubles: Runs in which it did not pass.
    """

    machine: str
    suite: str
    case: str
    backend: str
    profile: str
    entries: list[HistoryEntry] = field(default_factory=list)
    medians_s: list[float] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def logs(self) -> list[float]:
        """Logarithms of the medians."""
        return [math.log(value) for value in self.medians_s]

    @property
    def newest(self) -> HistoryEntry:
        """The newest run that has the case, whether it passed there or not."""
        last = [*self.entries[-1:], *(trouble.entry for trouble in self.troubles[-1:])]
        return max(last, key=lambda entry: entry.moment)


def entry_of(run: Run, commit: str, subject: str) -> HistoryEntry:
    """What a run adds to the history.

    Raises:
        HistoryError: the run does not say when or where it was made, or has no case to add.
    """
    if run.settings is None or run.environment is None:
        raise HistoryError(f"{run.folder}: got no readable run.json and environment.json, expected both")
    cases = [
        HistoryCase(
            suite=key.suite, case=key.case or "(every case)", backend=key.backend, rounds_s=case.seconds,
            trouble=case.trouble, failed=case.failed or case.trouble is None,
        )
        for key, case in case_rounds(Side(str(run.folder), run, None)).items()
        if case.seconds or case.trouble
    ]  # fmt: skip
    if not cases:
        raise HistoryError(f"{run.folder}: got no timed case, expected at least one")
    return HistoryEntry(
        at=run.settings.started, commit=commit, subject=subject, profile=run.settings.profile,
        environment=run.environment, cases=cases,
    )  # fmt: skip


def add(folder: Path, entry: HistoryEntry, budgets: Mapping[str, ResourceBudget] | None = None) -> Path:
    """Write an entry as a file of its own, whole or not at all; returns its path.

    Args:
        folder: The history.
        entry: What to add.
        budgets: By backend, the resource budget of what was measured. A budget is a file of its own too, named by its
            content, so that runs between which it did not change share one.

    Raises:
        HistoryError: the folder holds it already.
        OSError: the folder cannot be written.
    """
    if any(folder.glob(f"*-{entry.digest}.json")):
        raise HistoryError(f"{folder}: holds this run already ({entry.at}, commit {entry.commit[:12]})")
    names = {}
    for backend, budget in (budgets or {}).items():
        text = budget_text(budget)
        names[backend] = _digest(text)[:16]
        write_text(folder / BUDGETS / f"{names[backend]}.json", text)
    entry = entry.model_copy(update={"budgets": names})
    stamp = re.sub(r"[^0-9T+-]", "", entry.at) or "undated"
    path = folder / f"{stamp}-{re.sub(r'[^A-Za-z0-9]', '', entry.commit)[:12]}-{entry.digest}.json"
    write_one(path, entry)
    return path


def read(folder: Path) -> tuple[list[HistoryEntry], list[str]]:
    """Every entry of a folder, oldest first, and a line for each file that cannot be read.

    Raises:
        HistoryError: there is no such folder.
    """
    if not folder.is_dir():
        raise HistoryError(f"{folder}: got no folder, expected a history; `--add RUN` begins one")
    entries, problems = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            entries.append(read_one(path, HistoryEntry))
        except RecordError as error:
            problems.append(str(error))
    return sorted(entries, key=lambda entry: entry.moment), problems


def read_budgets(folder: Path, entries: Iterable[HistoryEntry]) -> tuple[dict[str, ResourceBudget], list[str]]:
    """The budgets that entries name, and a line for each file that cannot be read."""
    found, problems = {}, []
    for name in dict.fromkeys(name for entry in entries for name in entry.budgets.values()):
        try:
            found[name] = read_budget(folder / BUDGETS / f"{name}.json")
        except BudgetError as error:
            problems.append(str(error))
    return found, problems


def series(entries: Iterable[HistoryEntry]) -> list[Series]:
    """One line for each machine, suite, case, backend and profile, in order of first appearance."""
    found: dict[tuple[str, ...], Series] = {}
    for entry in entries:
        for case in entry.cases:
            key = (entry.machine, case.suite, case.case, case.backend, entry.profile)
            line = found.setdefault(key, Series(*key))
            if case.trouble is not None:
                line.troubles.append(Trouble(entry, case.trouble, case.failed))
            else:
                line.entries.append(entry)
                line.medians_s.append(statistics.median(case.rounds_s))
    return list(found.values())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
