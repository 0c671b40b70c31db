"""A job as it is handed to whatever runs it, its run in one subprocess, and how that came out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pacbench.records import JobOutcome

from .job import Job
from .job_end import describe_end
from .memory_watch import default_limit_bytes
from .parent_process import VARIABLE as COORDINATOR
from .probes import job_environment
from .process import run_to_end
from .seat import VARIABLE as SEAT


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a process must know to run a job.

    Attributes:
        job: The job.
        key: The key of its result, which whoever runs it must come to as well.
        words: The arguments of Python.
        allocator: Name of the allocator's setting.
        timeout_s: Seconds that the job may take.
        memory_limit_bytes: Memory that it may have; None for 90 % of what the machine has that runs it.
    """

    job: Job
    key: str
    words: tuple[str, ...]
    allocator: str
    timeout_s: float | None
    memory_limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: outcome, why where it did not simply complete, exit code of its process, seconds it took."""

    outcome: JobOutcome
    reason: str | None = None
    exit_code: int | None = None
    duration_s: float = 0.0


def run_job(
    order: JobOrder,
    folder: Path,
    *,
    python: str,
    inherited: Collection[int] = (),
    seat: int | None = None,
    stopped: Callable[[], bool] | None = None,
) -> JobEnd:
    """Run a job in a subprocess that ends with this process; timeout and memory are watched here.

    Args:
        order: The job.
        folder: Where it runs, logs and records.
        python: The interpreter.
        inherited: File descriptors that it keeps open.
        seat: File descriptor of its seat, where it takes turns with other jobs.
        stopped: Asked several times a second whether the job is no longer wanted.

    Raises:
        KeyboardInterrupt, Stopped: passed on, after the job has been ended.
        OSError: the folder cannot be written.
    """
    log = folder / "logs" / f"{order.job.name}.log"
    seated = {} if seat is None else {SEAT: str(seat)}
    end = run_to_end(
        [python, *order.words],
        log,
        environment=job_environment(order.allocator) | {COORDINATOR: str(os.getpid())} | seated,
        timeout_s=order.timeout_s,
        memory_limit_bytes=order.memory_limit_bytes or default_limit_bytes(),
        inherited=(*inherited, *(() if seat is None else (seat,))),
        folder=folder,
        stopped=stopped,
    )
    outcome, reason = describe_end(end, log, folder / "records" / f"{order.job.name}.jsonl", order.timeout_s)
    return JobEnd(outcome, reason, end.exit_code, round(end.duration_s, 3))
