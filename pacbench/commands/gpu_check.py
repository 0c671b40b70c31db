"""`pacbench gpu-check`: what a machine with a GPU should be asked once, in one command (docs/gpu_run_book.md)."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pacbench.backend import Backend
from pacbench.errors import UnavailableError
from pacbench.registry import get_backend, unavailable_reasons
from pacbench.running.probes import describe_environment
from pacbench.running.process import run_to_end

_PACBENCH = (sys.executable, "-c", "from pacbench.command_line import main; main()")
_SMALL = 12
"""Height and width of the images that `quick` profiles: interpreted kernels are slow."""


@dataclass(frozen=True)
class Step:
    """One command of the run book; a quick check leaves out those that take long."""

    name: str
    words: tuple[str, ...]
    quick: bool = False


def steps(backend: str, folder: Path, *, quick: bool) -> list[Step]:
    """The run book's commands for one backend, in order: the gate comes first.

    What a backend does not offer (a resource budget, predictions) is not asked of it.
    """
    profiler = (sys.executable, "-m", "pacbench.running.profile_operators", backend, str(folder / "profile"))
    gate = (*_PACBENCH, "verify", "--backend", backend, "--junit", str(folder / "gate.xml"))
    found = [
        Step("gate", (*gate, *(["--smoke"] if quick else [])), quick=True),
        Step("profile", (*profiler, *([str(_SMALL)] if quick else [])), quick=True),
        Step("operators", (*_PACBENCH, "bench", "--backend", f"{backend},unfold", "--output", str(folder / "bench"))),
        Step("workloads", (*_PACBENCH, "run", "--backend", f"{backend},unfold", "--output", str(folder / "run"))),
    ]
    of_backend = get_backend(backend)
    if of_backend.resource_budget_file() is not None:
        found.append(Step("resources", (*_PACBENCH, "resources", "--backend", backend)))
    if type(of_backend).planned_work is not Backend.planned_work:
        found.append(Step("predicted", (*_PACBENCH, "resources", "--backend", backend, "--predicted")))
    return found


def gpu_check(backends: list[str], folder: Path, *, quick: bool) -> int:
    """Run the steps, each in a process of its own, and write down how each ended; 1 if one failed.

    After a red gate a backend's numbers are not taken. Everything goes to FOLDER/BACKEND: a log for each step, and
    ``check.json`` with the commands, exit codes, durations and the machine.

    Raises:
        UnavailableError: a backend cannot run on this machine.
    """
    console = Console(stderr=True)
    for name in backends:
        reasons = unavailable_reasons(get_backend(name))
        if reasons:
            raise UnavailableError(f"backend {name} cannot run here: {'; '.join(map(str, reasons))}")
    codes = [_checked(name, folder / name.replace(":", "_"), console, quick=quick) for name in backends]
    return max(codes, default=0)


def _checked(backend: str, folder: Path, console: Console, *, quick: bool) -> int:
    folder.mkdir(parents=True)
    ends, red = [], False
    for step in steps(backend, folder, quick=quick):
        end: dict[str, object] = {"step": step.name, "command": list(step.words)}
        if red or (quick and not step.quick):
            end["outcome"] = "withheld: the gate is not green" if red else "left out of a quick check"
        else:
            console.print(f"{backend}: {step.name} …", highlight=False, markup=False)
            ended = run_to_end(step.words, folder / f"{step.name}.log", environment=os.environ)
            outcome = "passed" if ended.exit_code == 0 else f"failed: exit code {ended.exit_code}"
            end |= {"outcome": outcome, "exit_code": ended.exit_code, "duration_s": round(ended.duration_s, 1)}
            red = red or (step.name == "gate" and ended.exit_code != 0)
        console.print(f"{backend}: {step.name}: {end['outcome']}", highlight=False, markup=False)
        ends.append(end)
    written = {
        "backend": backend,
        "quick": quick,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "environment": describe_environment(measure_roof=False).model_dump(mode="json"),
        "steps": ends,
    }
    (folder / "check.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
    console.print(f"wrote {folder}", highlight=False, markup=False, soft_wrap=True)
    return int(any(str(end["outcome"]).startswith("failed") for end in ends))
