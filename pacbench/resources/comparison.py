"""Compiled kernels against their budget: what got worse turns a build red, what got better asks for a new budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .record import ResourceRecord

GROWTH_ALLOWED = 0.05
"""Instruction counts and costs per output may grow by this share before they count as worse."""

_NEVER_MORE = ("registers", "stack_bytes", "spilled_bytes", "shared_bytes", "threads")
_COUNTED_BY_PRESENCE = ("mma",)
"""Instructions that must not vanish, however many there are."""

_UNWANTED = ("dfma", "ldl", "stl")
"""Instructions that must not appear: accidental doubles, local memory."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a kernel differs from its budget.

    Attributes:
        kernel: The record's name.
        text: What differs, such as ``registers 130, budget 128``.
        worse: Whether it turns the comparison red.
    """

    kernel: str
    text: str
    worse: bool

    def __str__(self) -> str:
        return f"{'worse ' if self.worse else 'better'} {self.kernel}: {self.text}"


def compare(compiled: Iterable[ResourceRecord], budget: Iterable[ResourceRecord]) -> list[Difference]:
    """Every difference, the worse ones first.

    Worse is: more registers, stack, spills, shared memory or threads; tensor-core instructions that are gone; doubles
    or local memory where there were none; any count that grew by more than GROWTH_ALLOWED; a kernel without a budget,
    and a budget without its kernel (of the targets that were compiled).
    """
    found = {record.key: record for record in compiled}
    targets = {record.target for record in found.values()}
    allowed = {record.key: record for record in budget if record.target in targets}
    differences = [difference for key, record in found.items() for difference in _of_one(record, allowed.get(key))]
    differences += [
        Difference(record.name, "is in the budget but was not compiled", worse=True)
        for key, record in allowed.items()
        if key not in found
    ]
    return sorted(differences, key=lambda difference: (not difference.worse, difference.kernel, difference.text))


def _of_one(record: ResourceRecord, budget: ResourceRecord | None) -> Iterator[Difference]:
    if budget is None:
        yield Difference(record.name, "has no budget", worse=True)
        return
    for name in _NEVER_MORE:
        got, allowed = getattr(record, name), getattr(budget, name)
        if got != allowed:
            yield Difference(record.name, f"{name} {got}, budget {allowed}", worse=got > allowed)
    for name in sorted({*record.instructions, *budget.instructions}):
        yield from _of_count(record, name, record.instructions.get(name, 0), budget.instructions.get(name, 0))
    for name in sorted({*record.per_output, *budget.per_output}):
        yield from _of_cost(record, name, record.per_output.get(name, 0), budget.per_output.get(name, 0))


def _of_count(record: ResourceRecord, name: str, got: int, allowed: int) -> Iterator[Difference]:
    text = f"{name} instructions {got}, budget {allowed}"
    if name in _COUNTED_BY_PRESENCE:
        if (got == 0) != (allowed == 0):
            yield Difference(record.name, text, worse=got == 0)
    elif name in _UNWANTED and (got == 0) != (allowed == 0):
        yield Difference(record.name, text, worse=got > 0)
    else:
        yield from _grown(record, text, got, allowed)


def _of_cost(record: ResourceRecord, name: str, got: float, allowed: float) -> Iterator[Difference]:
    yield from _grown(record, f"{name} per output {got:g}, budget {allowed:g}", got, allowed)


def _grown(record: ResourceRecord, text: str, got: float, allowed: float) -> Iterator[Difference]:
    if got > allowed * (1 + GROWTH_ALLOWED):
        yield Difference(record.name, text, worse=True)
    elif got < allowed * (1 - GROWTH_ALLOWED):
        yield Difference(record.name, text, worse=False)
