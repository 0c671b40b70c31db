"""`pacbench backends`: what is registered, what each can do, and what of it can run here."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pacbench.backend import Backend
from pacbench.calls import OPERATORS, OPTIONS
from pacbench.capabilities import DIFFERENTIABLE
from pacbench.registry import BrokenBackend, get_backend, list_backends, unavailable_reasons


def print_matrix() -> int:
    """Print what each backend declares as a Markdown table, the same on every machine."""
    backends = [backend for name in list_backends() if not isinstance(backend := get_backend(name), BrokenBackend)]
    # What the class declares: an instance may declare less here, as where kernels are interpreted.
    declared = [getattr(type(backend), "capabilities", backend.capabilities) for backend in backends]
    heads = ["", *(f"`{backend.name}`" for backend in backends)]
    rows = [
        ["what it is", *(backend.summary for backend in backends)],
        ["devices", *(", ".join(of.devices) for of in declared)],
        ["dtypes", *(", ".join(of.dtypes) for of in declared)],
        ["operators", *(_of_all(of.operators, OPERATORS) for of in declared)],
        ["options", *(_of_all(of.options, OPTIONS) for of in declared)],
        ["gradients to", *(_of_all(of.gradients, DIFFERENTIABLE) for of in declared)],
        ["derivatives", *(_derivatives(of.derivative_order) for of in declared)],
        ["deterministic", *("yes" if of.deterministic else "no" for of in declared)],
        ["served unasked on", *(", ".join(of.priority) or "-" for of in declared)],
    ]
    for row in (heads, ["---"] * len(heads), *rows):
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")  # noqa: T201 - a table to be pasted, which rich would wrap
    return 0


def list_all() -> int:
    """Print a table of all registered backends, and why some cannot run on this machine."""
    console = Console()
    found = {name: get_backend(name) for name in list_backends()}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("backend", "available", "devices", "operators", "derivatives", "deterministic"):
        table.add_column(heading)
    for name, backend in found.items():
        table.add_row(escape(name), "no" if unavailable_reasons(backend) else "yes", *_capabilities(backend))
    console.print(table)
    for name, backend in found.items():
        for line in _details(name, backend):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _capabilities(backend: Backend) -> tuple[str, ...]:
    if isinstance(backend, BrokenBackend):
        return ("?",) * 4
    declared = backend.capabilities
    return (
        ", ".join(declared.devices),
        f"{len(declared.operators)} of {len(OPERATORS)}",
        _derivatives(declared.derivative_order),
        "yes" if declared.deterministic else "no",
    )


def _derivatives(order: int | None) -> str:
    return "any order" if order is None else f"up to order {order}"


def _of_all(declared: tuple[str, ...], known: tuple[str, ...]) -> str:
    missing = [name for name in known if name not in declared]
    if len(missing) > len(declared):
        return ", ".join(declared) or "none"
    return "all" + (f" but {', '.join(missing)}" if missing else "")


def _details(name: str, backend: Backend) -> Iterator[str]:
    yield f"{name}: {backend.summary}"
    for reason in unavailable_reasons(backend):
        yield f"  unavailable: {reason.text}"
        yield f"  mend: {reason.mend}"
    if not isinstance(backend, BrokenBackend):
        yield f"  dtypes: {', '.join(backend.capabilities.dtypes)}"
        yield f"  operators: {', '.join(backend.capabilities.operators)}"
