"""The performance targets measured: interleaved samples in one process, and what needs processes of its own.

``python -m pacbench.suites.operators.interleaved --backend NAME --output FILE`` appends one record per case, direction
and part to a JSON-lines file that begins with how busy the machine is and the environment. `pacbench bench
--interleaved` starts it under a named allocator setting and prints the targets beside what was measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

from pacbench.backend import Backend
from pacbench.errors import UnavailableError
from pacbench.measuring.environment import describe_environment
from pacbench.records import CaseRecord, append
from pacbench.registry import get_backend, unavailable_reasons

from . import parts
from .cases import DIRECTIONS, Direction
from .interleaving import Registers
from .subjects import SUBJECTS_OF_PROFILE, Subject
from .targets_table import BUSY, MACHINE
from .upsampling_twin import TWINS, TwinCase

PARTS = ("time", "accuracy", "memory", "threads", "sizes", "isa", "lattice", "upsampling")
TURNS = {"quick": 3, "standard": 15, "full": 45}
JOB = "interleaved"
NOTHING = "none"
SCALED = "W1"
"""The case whose scaling is measured."""

_LOOK_S = 0.5


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        backend: Name of the backend.
        against: Name of the backend to compare with; None for none.
        subjects: The cases.
        parts: Of PARTS.
        turns: Interleaved samples of each call.
        profile: How large the images of the part `sizes` are.
        twin: What PacJointUpsample and its plain twin upsample; None for nothing.
    """

    backend: str
    against: str | None
    subjects: tuple[Subject, ...]
    parts: tuple[str, ...]
    turns: int
    profile: str
    twin: TwinCase | None = None


class Recorder:
    """Writes a record per case as it ends: whatever fails is a record with its reason, and the rest goes on."""

    def __init__(self, path: Path, backend: str) -> None:
        self._path = path
        self._backend = backend

    @contextmanager
    def case(self, part: str, subject: Subject, direction: Direction) -> Iterator[dict[str, Any]]:
        """Fields of the record, to be filled."""
        own = {
            "operator": subject.case.operator, "flops": subject.case.flops(direction), "notes": [subject.case.title],
            "shapes": {key: list(shape) for key, shape in subject.case.shapes.items()},
        }  # fmt: skip
        with self.named(part, subject.name, direction, own) as fields:
            yield fields

    @contextmanager
    def named(self, part: str, workload: str, direction: Direction, own: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Fields of a record that begins with those of its `own`."""
        name = f"{part}[{workload}-{direction}]"
        sys.stderr.write(f"{self._backend}: {name}\n")
        fields: dict[str, Any] = {
            "job": JOB, "suite": "operators", "case": name, "backend": self._backend, "round": 0,
            "direction": direction, "device": "cpu", "dtype": "float32", "metrics": {}, **own,
        }  # fmt: skip
        try:
            yield fields
            fields["outcome"] = "passed"
        except (parts.NotMeasurableError, UnavailableError) as error:
            fields |= {"outcome": "skipped", "reason": str(error)}
        except Exception as error:  # one case that fails, for whatever reason, must not end the run
            fields |= {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"[:500]}
        append(self._path, CaseRecord(**fields))


def measure(plan: Plan, path: Path) -> None:
    """Measure everything that a plan asks for, and append it to a file."""
    append(path, machine_record(plan.backend))
    append(path, describe_environment())
    backend = _available(plan.backend)
    against = _available(plan.against) if plan.against else None
    recorder = Recorder(path, plan.backend)
    run: dict[str, Callable[[], None]] = {
        "time": lambda: _times(plan, backend, against, recorder),
        "accuracy": lambda: _accuracy(plan, backend, recorder),
        "memory": lambda: _memory(plan, recorder),
        "threads": lambda: _scaled(
            plan, recorder, "threads", partial(parts.threads, backend=backend, turns=plan.turns)
        ),
        "sizes": lambda: _scaled(
            plan, recorder, "sizes", partial(parts.sizes, backend=backend, turns=plan.turns, profile=plan.profile)
        ),
        "isa": lambda: _instruction_sets(plan, recorder),
        "lattice": lambda: _lattice(plan, backend, recorder),
        "upsampling": lambda: _upsampling(plan, backend, recorder),
    }
    for part in plan.parts:
        run[part]()


def machine_record(backend: str) -> CaseRecord:
    """How busy other processes keep the processors before anything is measured."""
    busy = float(psutil.cpu_percent(_LOOK_S))
    return CaseRecord(
        job=JOB, suite="operators", case=MACHINE, backend=backend, round=0, outcome="passed",
        metrics={BUSY: busy},
    )  # fmt: skip


def _available(name: str) -> Backend:
    backend = get_backend(name)
    reasons = unavailable_reasons(backend)
    if reasons:
        raise SystemExit(f"{name}: " + "; ".join(f"{reason.text}; mend: {reason.mend}" for reason in reasons))
    return backend


def _times(plan: Plan, backend: Backend, against: Backend | None, recorder: Recorder) -> None:
    registers = Registers(torch.get_num_threads())
    for subject in plan.subjects:
        for direction in DIRECTIONS:
            with recorder.case("time", subject, direction) as fields:
                fields |= parts.times(subject, direction, backend, against, registers, plan.turns)


def _accuracy(plan: Plan, backend: Backend, recorder: Recorder) -> None:
    for subject in plan.subjects:
        errors: dict[str, float] = {}
        for direction in DIRECTIONS:
            with recorder.case("accuracy", subject, direction) as fields:
                errors = errors or parts.accuracy(subject, backend)
                fields["metrics"] = parts.accuracy_figures(errors, direction)


def _memory(plan: Plan, recorder: Recorder) -> None:
    for subject in plan.subjects:
        for direction in DIRECTIONS:
            with recorder.case("memory", subject, direction) as fields:
                scaled = subject.name.partition("-")[0] == SCALED
                fields |= parts.memory(subject, direction, plan.backend, with_variants=scaled)


def _scaled(plan: Plan, recorder: Recorder, part: str, run: Callable[[Subject, Direction], dict[str, Any]]) -> None:
    for subject in plan.subjects:
        for direction in DIRECTIONS if subject.name.partition("-")[0] == SCALED else ():
            with recorder.case(part, subject, direction) as fields:
                fields |= run(subject, direction)


def _instruction_sets(plan: Plan, recorder: Recorder) -> None:
    found: dict[str, dict[str, Any]] = {}

    def run(subject: Subject, direction: Direction) -> dict[str, Any]:
        if not found:
            found.update(parts.instruction_sets(subject, plan.backend, plan.turns))
        return found[direction]

    _scaled(plan, recorder, "isa", run)


def _lattice(plan: Plan, backend: Backend, recorder: Recorder) -> None:
    for subject in plan.subjects:
        if subject.lattice is not None:
            with recorder.case("lattice", subject, "forward") as fields:
                fields |= parts.lattice(subject, backend, plan.turns)


def _upsampling(plan: Plan, backend: Backend, recorder: Recorder) -> None:
    if plan.twin is None:
        return
    for direction in DIRECTIONS:
        own = {"notes": [plan.twin.title], "shapes": {key: list(shape) for key, shape in plan.twin.shapes.items()}}
        with recorder.named("upsampling", plan.twin.name, direction, own) as fields:
            fields |= parts.upsampling(plan.twin, direction, backend, plan.against, plan.turns)


def plan_of(words: Sequence[str]) -> tuple[Plan, Path]:
    """The plan and the file that a command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m pacbench.suites.operators.interleaved")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--against", default=NOTHING)
    parser.add_argument("--profile", default="standard", choices=tuple(TURNS))
    parser.add_argument("--cases", default="")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--turns", type=int)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args(words)
    cases = [name for name in asked.cases.split(",") if name]
    subjects = tuple(
        subject
        for subject in SUBJECTS_OF_PROFILE[asked.profile]
        if not cases or any(name in subject.name for name in cases)
    )
    wanted = tuple(part for part in PARTS if part in asked.parts.split(","))
    against = None if asked.against == NOTHING else asked.against
    turns = asked.turns or TURNS[asked.profile]
    twin = TWINS[asked.profile]
    shown = twin if not cases or any(name in twin.name for name in cases) else None
    return Plan(asked.backend, against, subjects, wanted, turns, asked.profile, shown), asked.output


if __name__ == "__main__":
    measure(*plan_of(sys.argv[1:]))
