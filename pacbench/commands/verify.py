"""`pacbench verify`: the correctness gates alone."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pacbench.frame import Run
from pacbench.running.exit_code import is_unavailable
from pacbench.running.gate import run_gate


def verify(backends: list[str], *, full: bool, junit: Path | None, output: Path | None, timeout_s: float | None) -> int:
    """Run the gates and print how their cases ended, with the reason of each that did not pass."""
    folder = output or Path(tempfile.mkdtemp(prefix="pacbench-verify-"))
    run, code = run_gate(
        backends, folder=folder, console=Console(stderr=True), full=full, junit=junit, timeout_s=timeout_s
    )
    if run is not None:
        _print(run)
    if output is None and code == 0:
        shutil.rmtree(folder)
    elif run is not None:
        Console().print(f"logs: {folder / 'logs'}", highlight=False, markup=False, soft_wrap=True)
    return code


def _print(run: Run) -> None:
    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("backend")
    table.add_column("gate")
    for heading in ("cases", "passed", "not passed", "skipped"):
        table.add_column(heading, justify="right")
    for backend, state in run.gate.items():
        colour, word = ("green", "green") if state.green else ("red", "red")
        if is_unavailable(state):
            colour, word = "yellow", "skipped"
        counts = (state.total, state.passed, state.failed, state.skipped)
        table.add_row(escape(backend), f"[{colour}]{word}[/{colour}]", *map(str, counts))
    console.print(table)
    for row in run.frame.to_dict("records"):
        if row["outcome"] not in ("passed", "skipped"):
            text = f"{row['backend']}: {row['case'] or row['job']}: {row['outcome']}: {row['reason']}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    for backend, state in run.gate.items():
        if is_unavailable(state):
            console.print(f"{backend}: {state.reason}", highlight=False, markup=False, soft_wrap=True)
