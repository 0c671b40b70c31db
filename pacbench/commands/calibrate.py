"""`pacbench calibrate`: a backend against itself, to learn what verdicts are worth on this machine."""

from __future__ import annotations

import time
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pacbench.comparing.calibration import (
    AaCase,
    Calibration,
    LeftOut,
    aa_cases,
    calibrate,
    calibration_file,
    write_calibration,
)
from pacbench.comparing.interleaved_runs import Code, measure_in_turns
from pacbench.comparing.sides import SideError
from pacbench.measuring.machine_noise import advice
from pacbench.records import RunSettings
from pacbench.running.exit_code import INTERRUPTED, exit_code
from pacbench.running.probes import RunError

from .checks import WrongUse
from .table_console import table_console


def run_calibration(settings: RunSettings, runs: int, folder: Path) -> int:
    """Measure a backend against itself, print what that says of this machine, and keep it for `pacbench compare`.

    Args:
        settings: What is measured, by one backend.
        runs: Independent A/A runs.
        folder: Where they go; one that holds some of them is taken up again.

    Returns:
        0; 1 if a gate is red, a case failed or a file cannot be read, on either side of a run; 130 after Ctrl-C.

    Raises:
        WrongUse: the folder holds something else.
        RunError: no case could be compared, or the result cannot be kept.
    """
    console = Console(stderr=True)
    noted = advice(allocator=settings.allocator)
    cases: list[AaCase] = []
    left_out: list[LeftOut] = []
    code = 0
    environment = None
    for number in range(runs):
        console.print(f"A/A run {number + 1} of {runs}", highlight=False)
        try:
            sides = measure_in_turns(folder / f"aa-{number}", settings, (Code(), Code()), console)
        except SideError as error:
            raise WrongUse(str(error)) from error
        if sides is None:
            text = f"interrupted; what was measured is kept in {folder}: the same command with --output goes on"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            return INTERRUPTED
        compared, others = aa_cases(number, *sides)
        cases += compared
        left_out += others
        environment = sides[0].run.environment
        code = max(code, *(exit_code(side.run) for side in sides), *(int(other.failed) for other in others))
        problems = dict.fromkeys(problem for side in sides for problem in side.run.problems)
        for line in [*(other.text for other in others), *(f"Problem: {problem}" for problem in problems)]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if environment is None or not cases:
        raise RunError(f"{folder}: got no case that passed in every round on both sides, expected at least one")
    asked = f"{settings.backends[0]}, {', '.join(settings.suites)}, profile {settings.profile}"
    found = calibrate(
        cases, environment, at=time.strftime("%Y-%m-%d"), asked=asked, advice=noted, left_out=len(left_out)
    )
    path = calibration_file(environment)
    try:
        write_calibration(found, folder / "calibration.json")
        write_calibration(found, path)
    except OSError as error:
        raise RunError(f"{error.filename or path}: cannot be written ({error.strerror or error})") from error
    _tell(found, path)
    return code


def _tell(found: Calibration, path: Path) -> None:
    console = table_console()
    console.print(found.sentence(), highlight=False, markup=False)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("slowdown added", justify="right")
    table.add_column("called slower", justify="right")
    for effect, share in found.found.items():
        table.add_row(f"{100 * (float(effect) - 1):.0f} %", f"{100 * share:.0f} %")
    console.print(table)
    for line in found.advice:
        console.print(line, highlight=False, markup=False)
    console.print(str(path), highlight=False, markup=False, soft_wrap=True)
