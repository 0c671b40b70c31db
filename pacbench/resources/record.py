"""One compiled kernel as a record, and the budget file that records are committed in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BudgetError(ValueError):
    """A budget file that cannot be read; the message is one line that says why."""


class ResourceRecord(BaseModel):
    """What one kernel takes when compiled for one target, read from its machine code.

    Attributes:
        backend: Name of the backend that launches it.
        kernel: Name of the kernel.
        variant: Dtype and configuration, such as ``float32-tf32-5x5-tile64x32x32``: with kernel and target it names
            the record.
        target: Architecture, such as ``sm_90`` or ``gfx942``.
        registers: Registers a thread.
        stack_bytes: Bytes of stack a thread.
        spilled_bytes: Bytes a thread that registers are spilled to; part of the stack.
        shared_bytes: Bytes of shared memory a block, static and dynamic.
        threads: Threads a block.
        occupancy: Share of a multiprocessor's threads that can be resident, 0 to 1; None for an unknown target.
        instructions: How often each kind of instruction stands in the code, by lower-case names such as ``mma``,
            ``ffma``, ``dfma``, ``lds``, ``ldg``, ``total``; one that does not occur may be left out.
        per_output: What one output pixel costs by the launch's arithmetic, such as ``global_bytes``: numbers that
            follow from configuration and code, not from a run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    kernel: str
    variant: str
    target: str
    registers: int = Field(ge=0)
    stack_bytes: int = Field(ge=0)
    spilled_bytes: int = Field(ge=0)
    shared_bytes: int = Field(ge=0)
    threads: int = Field(gt=0)
    occupancy: float | None = Field(default=None, ge=0, le=1)
    instructions: Mapping[str, int] = Field(default_factory=dict)
    per_output: Mapping[str, float] = Field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the record within its backend: target, kernel and variant."""
        return self.target, self.kernel, self.variant

    @property
    def name(self) -> str:
        """Such as ``sm_90 gather_gemm float32-tf32-5x5``."""
        return " ".join(self.key)


class ResourceBudget(BaseModel):
    """The committed records of one backend.

    Attributes:
        compiler: What made the machine code, such as ``triton 3.9.0``; another compiler needs a budget of its own.
        records: One for each kernel, variant and target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    compiler: str
    records: tuple[ResourceRecord, ...]


def read_budget(path: Path) -> ResourceBudget:
    """Read a budget file.

    Raises:
        BudgetError: there is none, or it does not fit the schema, or names a record twice.
    """
    try:
        return parse_budget(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise BudgetError(f"{path}: got no budget file, expected one (see `pacbench resources --help`)") from error


def parse_budget(text: str, name: str) -> ResourceBudget:
    """A budget from the text of its file, which errors call by the name.

    Raises:
        BudgetError: it does not fit the schema, or names a record twice.
    """
    try:
        budget = ResourceBudget.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BudgetError(f"{name}: got a budget that does not fit the schema: {where}: {first['msg']}") from error
    keys = [record.key for record in budget.records]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise BudgetError(f"{name}: got {' '.join(twice)} twice, expected once")
    return budget


def budget_text(budget: ResourceBudget) -> str:
    """A budget as its file holds it: one record a line, in order, so that a change of one kernel is one of one line."""
    lines = [json.dumps(_tidy(record)) for record in sorted(budget.records, key=lambda record: record.key)]
    text = ",\n    ".join(lines)
    return f'{{\n  "compiler": {json.dumps(budget.compiler)},\n  "records": [\n    {text}\n  ]\n}}\n'


def write_budget(path: Path, budget: ResourceBudget) -> None:
    """Write a budget file."""
    path.write_text(budget_text(budget), encoding="utf-8")


def _tidy(record: ResourceRecord) -> dict[str, object]:
    values = record.model_dump()
    values["instructions"] = dict(sorted(record.instructions.items()))
    values["per_output"] = {name: round(value, 3) for name, value in sorted(record.per_output.items())}
    if record.occupancy is not None:
        values["occupancy"] = round(record.occupancy, 4)
    return values
