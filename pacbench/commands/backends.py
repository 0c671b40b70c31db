"""`pacbench backends`: what is registered, and what of it can run here."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pacbench.backend import Backend
from pacbench.calls import OPERATORS
from pacbench.registry import BrokenBackend, get_backend, list_backends


def list_all() -> int:
    """Print a table of all registered backends, and why some cannot run on this machine."""
    console = Console()
    found = {name: get_backend(name) for name in list_backends()}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("backend", "available", "devices", "operators", "derivatives", "deterministic"):
        table.add_column(heading)
    for name, backend in found.items():
        table.add_row(name, "no" if backend.unavailable_reasons() else "yes", *_capabilities(backend))
    console.print(table)
    for name, backend in found.items():
        for line in _details(name, backend):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _capabilities(backend: Backend) -> tuple[str, ...]:
    if isinstance(backend, BrokenBackend):
        return ("?",) * 4
    declared = backend.capabilities
    order = declared.derivative_order
    return (
        ", ".join(declared.devices),
        f"{len(declared.operators)} of {len(OPERATORS)}",
        "any order" if order is None else f"order {order}",
        "yes" if declared.deterministic else "no",
    )


def _details(name: str, backend: Backend) -> Iterator[str]:
    yield f"{name}: {backend.summary}"
    for reason in backend.unavailable_reasons():
        yield f"  unavailable: {reason.text}"
        yield f"  mend: {reason.mend}"
    if not isinstance(backend, BrokenBackend):
        yield f"  dtypes: {', '.join(backend.capabilities.dtypes)}"
        yield f"  operators: {', '.join(backend.capabilities.operators)}"
