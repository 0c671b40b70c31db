"""What a run writes down: one schema-checked JSON line for each thing that happened.

The files are the truth of a run. `pacbench.frame` reads them into one tidy table, and everything that is
told (Markdown, CSV, HTML, the terminal) is made from that table.

A run folder holds

- ``run.json``: one :class:`RunSettings`,
- ``environment.json``: one :class:`Environment`,
- ``records/<job>.jsonl``: for each job (one subprocess: suite x backend x round) the :class:`Collected` line
  with every case that the job set out to run, then one :class:`CaseRecord` per case as it ends,
- ``jobs.jsonl``: one :class:`JobRecord` per job, written by the coordinator when the job's process has ended,
- ``panels/*.png``: example pictures that records point at,
- ``predictions/<job>/``: predicted label images, where they were asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

SCHEMA: Literal[1] = 1

Outcome = Literal["passed", "failed", "skipped", "error"]
JobOutcome = Literal["completed", "crashed", "timeout", "interrupted", "withheld"]


class _Line(BaseModel):
    """Unknown fields are refused: a file that does not fit the schema is reported, never half read."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    schema_version: Literal[1] = SCHEMA


class RunSettings(_Line):
    """What was asked of a run, so that it can be resumed and told.

    Two runs with the same `interleaved` were measured in turns, round by round; `revision` says of which commit.
    """

    kind: Literal["run"] = "run"
    suites: list[str]
    backends: list[str]
    methods: list[str] | None = None
    profile: str
    rounds: int = Field(ge=1)
    data_root: str | None = None
    weights: list[str] = []
    save_predictions: bool = False
    cases: str | None = None
    factors: list[int] | None = None
    allocator: str = "default"
    timeout_s: float | None = None
    memory_limit_bytes: int | None = None
    interleaved: str | None = None
    revision: str | None = None
    command: str
    started: str


class Environment(_Line):
    """Where a run was made: everything that a reader needs to judge its numbers."""

    kind: Literal["environment"] = "environment"
    pacbench: str
    package_hash: str
    python: str
    platform: str
    processor: str
    cores: int
    memory_bytes: int
    threads: int
    torch: str
    cpu_capability: str
    gpu: list[str] = []
    allocator: str
    packages: dict[str, str] = {}
    suites: dict[str, str] = {}
    fma_peak_gflops: float | None = None
    fma_peak_reason: str | None = None
    copy_bandwidth_gbs: float | None = None


class Collected(_Line):
    """The cases that a job set out to run; a case without a record afterwards was lost, and is shown so."""

    kind: Literal["collected"] = "collected"
    job: str
    suite: str
    backend: str
    round: int
    cases: list[str]


class DeviceState(BaseModel):
    """What a GPU says of itself; None for what it does not tell.

    Attributes:
        sm_clock_mhz: Clock of the multiprocessors.
        memory_clock_mhz: Clock of the memory.
        temperature_c: Degrees Celsius.
        throttle_reasons: Names of what holds the clocks, such as ``sw_power_cap``; harmless ones among them.
        other_processes: How many other processes compute on it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_c: int | None = None
    throttle_reasons: list[str] | None = None
    other_processes: int | None = None


class DeviceSample(DeviceState):
    """One timed call on a GPU: the lower of the clocks and the worse of all else, before it and after it.

    Attributes:
        seconds: By the device's own clock.
        left_out: Why the sample does not count; None where it does.
    """

    seconds: float
    left_out: str | None = None


class CaseRecord(_Line):
    """One case, ended: its outcome, and whatever it measured.

    `samples_s` holds the samples that count, so that whoever reads it reads no other. Of a GPU `device_samples` holds
    all of them, each with the device's state; a record in which the two disagree does not fit the schema. Where the
    job took turns with others, `turns` holds the number of the turn of each sample.
    """

    kind: Literal["case"] = "case"
    job: str
    suite: str
    case: str
    backend: str
    round: int
    outcome: Outcome
    reason: str | None = None
    gate: bool = False
    method: str | None = None
    operator: str | None = None
    direction: str | None = None
    dataset: str | None = None
    device: str | None = None
    dtype: str | None = None
    shapes: dict[str, list[int]] = {}
    samples_s: list[float] = []
    turns: list[int] = []
    device_samples: list[DeviceSample] = []
    flops: float | None = None
    bytes: float | None = None
    peak_memory_bytes: int | None = None
    metrics: dict[str, float] = {}
    per_item: dict[str, dict[str, float]] = {}
    parameters: dict[str, float] = {}
    notes: list[str] = []
    panel: str | None = None
    duration_s: float = 0.0

    @model_validator(mode="after")
    def _only_kept_samples_count(self) -> Self:
        kept = [sample.seconds for sample in self.device_samples if sample.left_out is None]
        if self.device_samples and self.samples_s != kept:
            raise ValueError(f"samples_s: got {self.samples_s}, expected the kept device_samples {kept}")
        if self.turns and len(self.turns) != len(self.samples_s):
            raise ValueError(f"turns: got {len(self.turns)}, expected one for each of {len(self.samples_s)} samples")
        return self


NO_CASE = "no case was collected"
"""Reason of a job that completed without one, as one does that has cases in round 0 alone."""


class JobRecord(_Line):
    """One subprocess, ended: how, and its last words when it did not end by itself.

    Where an executor ran it, `machine` and `worker` say where, `attempt` at which try, and `before` why the tries
    before that brought nothing home.
    """

    kind: Literal["job"] = "job"
    job: str
    key: str
    suite: str
    backend: str
    round: int
    outcome: JobOutcome
    reason: str | None = None
    exit_code: int | None = None
    duration_s: float = 0.0
    machine: str | None = None
    worker: str | None = None
    attempt: int = Field(default=1, ge=1)
    before: list[str] = []


Line = Annotated[RunSettings | Environment | Collected | CaseRecord | JobRecord, Field(discriminator="kind")]
_LINE: TypeAdapter[Line] = TypeAdapter(Line)
_Record = TypeVar("_Record", bound=BaseModel)


class RecordError(ValueError):
    """A result file that cannot be read; the message names the file and the line."""


def append(path: Path, line: Line) -> None:
    """Append one line to a JSON-lines file and flush it, so that a crash loses nothing already written.

    A half-written last line, left by a process that was killed, is cut off first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.tell()
        if size:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.model_dump_json().encode() + b"\n")


def write_one(path: Path, line: BaseModel) -> None:
    """Write a file of one record (``run.json``, ``environment.json``): whole or not at all."""
    write_text(path, line.model_dump_json(indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, and the folder that it lies in: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def read_one(path: Path, kind: type[_Record]) -> _Record:
    """Read a file of one record.

    Raises:
        RecordError: the file cannot be read or does not fit the schema; the message names it.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise RecordError(
            f"{path}: got {_misfit(error)}, expected one {kind.__name__} record of version {SCHEMA}"
        ) from error


def read_lines(path: Path) -> list[Line]:
    """Read a JSON-lines file.

    A last line without its newline is one that a killed process was still writing: it is left out, as if
    its case had never ended.

    Raises:
        RecordError: the file cannot be read, or a line does not fit the schema; the message names both.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read ({error})") from error
    complete = text if text.endswith("\n") or not text else text[: text.rfind("\n") + 1]
    lines: list[Line] = []
    for number, line in enumerate(complete.removesuffix("\n").split("\n") if complete else [], start=1):
        try:
            lines.append(_LINE.validate_json(line))
        except ValidationError as error:
            raise RecordError(
                f"{path}, line {number}: got {_misfit(error)}, expected a pacbench record of version {SCHEMA}"
            ) from error
    return lines


def _misfit(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where or 'a line'} that does not fit the schema ({first['msg']})"
