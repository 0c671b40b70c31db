"""`pacbench resources`: compiled kernels against their committed resource budget."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from pacbench.backend import Backend
from pacbench.errors import UnavailableError
from pacbench.registry import get_backend
from pacbench.resources import (
    ROOFLINES,
    ResourceBudget,
    ResourceRecord,
    compare,
    predict,
    read_budget,
    write_budget,
)

from .table_console import table_console


def resources(name: str, targets: Sequence[str], *, update: bool) -> int:
    """Compile a backend's kernels for the targets and compare with the budget, or write a new one; 1 if one is worse.

    Raises:
        UnavailableError: the backend has no compiled kernels, or its compiler is not here.
        BudgetError: the budget cannot be read.
    """
    backend = get_backend(name)
    path = backend.resource_budget_file()
    if path is None:
        raise UnavailableError(f"backend {backend.name}: has no compiled GPU kernels, so no resources to compare")
    compiler, compiled = backend.compiled_resources(targets or None)
    console = table_console()
    console.print(_table(compiled))
    if update:
        kept = () if not targets or not path.exists() else _others(backend, {record.target for record in compiled})
        write_budget(path, ResourceBudget(compiler=compiler, records=(*kept, *compiled)))
        console.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
        return 0
    budget = read_budget(path)
    if budget.compiler != compiler:
        text = f"the budget was made by {budget.compiler}, this is {compiler}: differences may be the compiler's"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    differences = compare(compiled, budget.records)
    for difference in differences:
        console.print(str(difference), highlight=False, markup=False, soft_wrap=True)
    worse = sum(difference.worse for difference in differences)
    text = f"{len(compiled)} kernels: {worse} differences for the worse, {len(differences) - worse} for the better"
    console.print(text, highlight=False)
    return 1 if worse else 0


def predictions(name: str) -> int:
    """Print the least times of a backend's kernels on the GPUs of `ROOFLINES`, labelled as predicted.

    Raises:
        UnavailableError: the backend has no compiled kernels, or its compiler is not here.
    """
    table = Table(title="predicted by roofline arithmetic, not measured", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("workload", "kernel", "precision"):
        table.add_column(heading, overflow="fold")
    for heading in ("MFLOP", "MB", *(f"predicted on {gpu}: µs, limiter" for gpu in ROOFLINES)):
        table.add_column(heading, justify="right")
    for work in get_backend(name).planned_work():
        found = [predict(work, gpu) for gpu in ROOFLINES]
        times = [f"{prediction.seconds * 1e6:.1f} {prediction.limiter}" for prediction in found]
        counts = (f"{work.flops / 1e6:.0f}", f"{work.bytes / 1e6:.1f}")
        table.add_row(work.workload, work.part, work.precision, *counts, *times)
    table_console().print(table)
    return 0


def _others(backend: Backend, targets: set[str]) -> tuple[ResourceRecord, ...]:
    """The budget's records of targets that were not compiled now."""
    path = backend.resource_budget_file()
    records = read_budget(path).records if path is not None else ()
    return tuple(record for record in records if record.target not in targets)


def _table(records: Sequence[ResourceRecord]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("target", "kernel", "variant"):
        table.add_column(heading, overflow="fold")
    for heading in ("registers", "spilled", "shared", "threads", "occupancy", "mma", "instructions"):
        table.add_column(heading, justify="right")
    for record in sorted(records, key=lambda record: record.key):
        share = "" if record.occupancy is None else f"{record.occupancy:.0%}"
        numbers = (record.registers, record.spilled_bytes, record.shared_bytes, record.threads)
        counts = (record.instructions.get("mma", 0), record.instructions.get("total", 0))
        table.add_row(*record.key, *map(str, numbers), share, *map(str, counts))
    return table
