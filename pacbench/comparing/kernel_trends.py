"""What compiled GPU kernels took from run to run, by the resource budgets of a history: known without a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pacbench.resources import Difference, ResourceBudget, ResourceRecord, compare

from .history import HistoryEntry


@dataclass(frozen=True, slots=True)
class KernelChange:
    """A run whose budget differs from the level before it by what `pacbench resources` would tell.

    Attributes:
        place: Index of the run among those of the trend.
        age: How many runs of the backend there are since, with this one.
        before: What the kernel took before.
        differences: What differs.
        compilers: The compilers before and since, where they are two.
    """

    place: int
    age: int
    before: ResourceRecord
    differences: tuple[Difference, ...]
    compilers: tuple[str, str] | None = None

    @property
    def worse(self) -> bool:
        """Whether the kernel takes more than before, by the rule that `compare` and `resources` go by."""
        return any(one.worse for one in self.differences)

    @property
    def text(self) -> str:
        """Such as ``registers 72, before 64``; what is worse comes first."""
        told = "; ".join(one.text.replace(", budget ", ", before ") for one in self.differences)
        return f"{told} (compiled by {self.compilers[1]}, before {self.compilers[0]})" if self.compilers else told


@dataclass(frozen=True)
class KernelTrend:
    """One kernel, variant and target of a backend over the runs whose budget has it, oldest first.

    Attributes:
        backend: Whose kernel it is.
        entries: The runs.
        records: What it took in each of them.
        changes: Where that changed, oldest first.
        gone: Whether the backend's newest budget has it no more.
    """

    backend: str
    entries: list[HistoryEntry] = field(default_factory=list)
    records: list[ResourceRecord] = field(default_factory=list)
    changes: list[KernelChange] = field(default_factory=list)
    gone: bool = False

    @property
    def name(self) -> str:
        """Target, kernel and variant."""
        return self.records[-1].name

    def growth(self, recent: int) -> KernelChange | None:
        """The newest change for the worse since which the kernel still takes more than before, with what is more.

        A later change that makes something else better does not hide it.

        Args:
            recent: How many of the backend's newest runs it must have come in.

        Returns:
            None where there is no such change, or the kernel is gone.
        """
        for change in reversed(self.changes if not self.gone else []):
            still = tuple(one for one in compare([self.records[-1]], [change.before]) if one.worse)
            if change.worse and still and change.age <= recent:
                return replace(change, differences=still)
        return None


def kernel_trends(entries: Sequence[HistoryEntry], budgets: Mapping[str, ResourceBudget]) -> list[KernelTrend]:
    """One trend for each kernel, in order of first appearance.

    A budget belongs to a commit and not to a machine, so all runs of a history lie on one line. Each record is compared
    with the level since the last change, so that growth in steps too small to be told is told once it has added up.

    Args:
        entries: The runs, oldest first.
        budgets: By the names that the entries call them.
    """
    return [
        trend
        for backend in dict.fromkeys(backend for entry in entries for backend in entry.budgets)
        for trend in _of_backend(
            backend,
            [(entry, budgets[entry.budgets[backend]]) for entry in entries if entry.budgets.get(backend) in budgets],
        )
    ]


def _of_backend(backend: str, told: list[tuple[HistoryEntry, ResourceBudget]]) -> list[KernelTrend]:
    places: dict[tuple[str, str, str], list[int]] = {}
    by_key = [{record.key: record for record in budget.records} for _, budget in told]
    for place, kernels in enumerate(by_key):
        for key in kernels:
            places.setdefault(key, []).append(place)
    found = []
    for key, mine in places.items():
        records = [by_key[place][key] for place in mine]
        compilers, ages = [told[place][1].compiler for place in mine], [len(told) - place for place in mine]
        changes = _changes(records, compilers, ages)
        entries = [told[place][0] for place in mine]
        found.append(KernelTrend(backend, entries, records, changes, gone=mine[-1] != len(told) - 1))
    return found


def _changes(records: Sequence[ResourceRecord], compilers: Sequence[str], ages: Sequence[int]) -> list[KernelChange]:
    found = []
    level = 0
    for place, record in enumerate(records):
        differences = () if record == records[level] else tuple(compare([record], [records[level]]))
        if differences:
            both = (compilers[level], compilers[place])
            changed = both if both[0] != both[1] else None
            found.append(KernelChange(place, ages[place], records[level], differences, changed))
            level = place
    return found
