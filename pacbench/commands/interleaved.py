"""`pacbench bench --interleaved`: one backend's performance targets, measured in one process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pacbench.errors import UnknownNameError
from pacbench.records import CaseRecord, Line, read_lines
from pacbench.running.exit_code import INTERRUPTED
from pacbench.running.gate import run_gate
from pacbench.running.probes import RunError, job_environment

from .checks import WrongUse, case_expression, known_backends, names
from .table_console import table_console

FILE = "interleaved.jsonl"
TABLES = "interleaved.txt"

_MODULE = "pacbench.suites.operators.interleaved"
_AGAINST = "unfold"
_PLAIN = "conv2d"


@dataclass(frozen=True)
class InterleavedPlan:
    """What is asked of the measuring process.

    Attributes:
        backend: Registered name or ``module:Class``.
        against: Another backend to compare with; None for none.
        cases: Parts of the names of the cases; empty for all.
        parts: Of those of the measuring process; empty for all.
        profile: Name of a profile.
        turns: Samples of each call; None for the profile's number.
        allocator: Name of an allocator setting.
    """

    backend: str
    against: str | None
    cases: tuple[str, ...]
    parts: tuple[str, ...]
    profile: str
    turns: int | None
    allocator: str

    def command(self, records: Path) -> list[str]:
        """The command line of the measuring process."""
        words = [sys.executable, "-m", _MODULE, f"--backend={self.backend}", f"--profile={self.profile}"]
        words += [f"--output={records}", f"--cases={','.join(self.cases)}"]
        words += [f"--against={self.against}"] if self.against else []
        words += [f"--parts={','.join(self.parts)}"] if self.parts else []
        words += [f"--turns={self.turns}"] if self.turns else []
        return words


def interleaved_plan(
    backend: Iterable[str] | None,
    against: str | None,
    *,
    reference: Iterable[str] | None,
    methods: Iterable[str] | None,
    cases: Iterable[str] | None,
    parts: Iterable[str] | None,
    profile: str,
    turns: int | None,
    allocator: str,
) -> InterleavedPlan:
    """Check what a command line asks for.

    Raises:
        WrongUse: more than one backend, or an option that means nothing here.
        UnknownNameError: no such backend, reference, part or case.
    """
    from pacbench.suites.operators.interleaved import PARTS
    from pacbench.suites.operators.subjects import SUBJECTS_OF_PROFILE
    from pacbench.suites.operators.upsampling_twin import TWINS

    asked = known_backends(backend)
    if len(asked) != 1:
        raise WrongUse(f"--interleaved: got backends {', '.join(asked)}, expected one, and another by --against")
    if names(methods):
        raise WrongUse("--interleaved: got --methods, expected --cases")
    for name in names(reference):
        if name != _PLAIN:
            raise UnknownNameError("reference", name, [_PLAIN])
    for name in names(parts):
        if name not in PARTS:
            raise UnknownNameError("part", name, PARTS)
    case_expression(cases)
    known = [*(subject.name for subject in SUBJECTS_OF_PROFILE[profile]), TWINS[profile].name]
    for name in names(cases):
        if not any(name in one for one in known):
            raise UnknownNameError("case", name, known)
    other = against or (_AGAINST if asked != [_AGAINST] else None)
    known_backends([other] if other else asked)
    return InterleavedPlan(
        asked[0], other, tuple(names(cases)), tuple(names(parts)), profile, turns, allocator
    )  # fmt: skip


def run_interleaved(plan: InterleavedPlan, output: Path, *, timeout_s: float) -> int:
    """Run the backend's smoke gate, measure, print the tables and write them beside the records.

    Args:
        plan: What to measure.
        output: Folder to write to.
        timeout_s: Seconds that the gate, and then the measuring process, may take.

    Returns:
        0 if every case was measured or rightly skipped, 1 if the gate is not green or a case failed, 130 after
        Ctrl-C. A target that is missed is told, and no failure.

    Raises:
        RunError: the measuring process failed, or none of the cases has one of the parts.
    """
    from pacbench.suites.operators.targets_table import MACHINE

    console = Console(stderr=True)
    run, code = run_gate([plan.backend], folder=output / "gate", console=console, full=False, timeout_s=timeout_s)
    if run is None:
        return code
    state = run.gate.get(plan.backend)
    if state is None or not state.green:
        said = state.reason if state is not None else "it left no record"
        raise RunError(f"{plan.backend}: no number without a green gate: {said}")
    records = output / FILE
    environment = job_environment(plan.allocator)
    try:
        done = subprocess.run(  # noqa: S603 (our own module, no shell)
            plan.command(records), env=environment, timeout=timeout_s, check=False
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    except subprocess.TimeoutExpired:
        raise RunError(f"interleaved samples of {plan.backend}: not done within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise RunError(f"interleaved samples of {plan.backend}: exit code {done.returncode}; its last words are above")
    lines = read_lines(records)
    cases = [line for line in lines if isinstance(line, CaseRecord) and line.case != MACHINE]
    if not cases:
        asked = f"--cases {','.join(plan.cases) or 'all'}, --parts {','.join(plan.parts) or 'all'}"
        raise RunError(f"{asked}: nothing was measured, since none of these cases has one of these parts")
    _tell(lines, plan, output)
    return int(any(case.outcome == "failed" for case in cases))


def _tell(lines: list[Line], plan: InterleavedPlan, output: Path) -> None:
    from pacbench.suites.operators.targets_table import tables

    console = table_console()
    with (output / TABLES).open("w", encoding="utf-8") as file:
        for table in tables(lines, against=plan.against):
            console.print(table, highlight=False)
            table_console(file).print(table, highlight=False)
    for name in (FILE, TABLES):
        console.print(str(output / name), highlight=False, markup=False, soft_wrap=True)
