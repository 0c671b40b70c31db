"""A turn: the jobs of one round of a suite, one for each backend, which one worker of an executor runs in order.

Rounds are compared in pairs, so that both of a pair must be measured on one machine, right after one another. What is
handed to an executor is therefore a turn and not a job. A worker needs no file of the coordinator's: it writes into a
temporary folder of its own and sends home what lies there.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pacbench.measuring.environment import installed_versions
from pacbench.measuring.package_hash import package_hash
from pacbench.records import Environment, RunSettings

from .environment_difference import environment_differences
from .job_run import JobEnd, JobOrder, run_job
from .leash import Leash
from .probes import describe_environment, write_pytest_ini
from .resuming import job_keys

FOLDERS = ("records", "logs", "panels", "predictions")
"""What of a job's folder comes home."""


class WorkerRefusedError(RuntimeError):
    """A worker under whose circumstances a turn must not be measured; the message is one line that says why."""


@dataclass(frozen=True)
class Turn:
    """One attempt at the jobs of a turn.

    Attributes:
        attempt: Names this attempt, and no other of this or any run.
        orders: The jobs, in order.
        settings: What is asked of the run.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.
        environment: Where the run is made: a worker must be such a machine.
        leash: Tells the worker whether the turn is still wanted.
    """

    attempt: str
    orders: tuple[JobOrder, ...]
    settings: RunSettings
    targets: Mapping[str, str]
    environment: Environment
    leash: Leash


@dataclass(frozen=True)
class Parcel:
    """What one job sends home: how it ended, and its files by their names within the run folder."""

    job: str
    end: JobEnd
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class TurnResult:
    """What a turn sends home.

    Attributes:
        attempt: The attempt that this is the result of.
        machine: The machine that ran it, with the GPU that the worker was given.
        worker: The worker.
        parcels: One for each job, in order.
        lost_on: Workers that had begun this very attempt and died, where the executor itself called the next.
    """

    attempt: str
    machine: str
    worker: str
    parcels: tuple[Parcel, ...]
    lost_on: tuple[str, ...] = ()


def work_off(turn: Turn, stopped: Callable[[], bool] | None = None) -> TurnResult:
    """Run the jobs of a turn one after another, each in a subprocess; this is what a worker calls.

    Args:
        turn: The jobs.
        stopped: Asked several times a second whether the turn is no longer wanted, beside the leash.

    Raises:
        WorkerRefusedError: results of this worker would not be what the run's keys say.
        process.Stopped: the turn is no longer wanted; its running job has been ended.
        OSError: the temporary folder cannot be written.
    """

    def unwanted() -> bool:
        return turn.leash.is_cut() or (stopped is not None and stopped())

    _expect_same_circumstances(turn)
    parcels = tuple(_run_in_own_folder(order, unwanted) for order in turn.orders)
    return TurnResult(turn.attempt, machine(), f"process {os.getpid()}", parcels)


def environment_here(allocator: str) -> Environment:
    """Describe this worker, without its roof; described anew where code or packages have changed under it."""
    return _described(
        allocator, package_hash.__wrapped__(), version("torch"), tuple(sorted(installed_versions().items()))
    )


def machine() -> str:
    """Name of this machine, with the GPU that this process was given where it was given one."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return f"{platform.node()}, CUDA_VISIBLE_DEVICES={given}" if given else platform.node()


@cache
def _described(allocator: str, *_: object) -> Environment:
    return describe_environment(measure_roof=False, allocator=allocator)


def _expect_same_circumstances(turn: Turn) -> None:
    here = environment_here(turn.settings.allocator)
    differ = environment_differences(turn.environment, here)
    if here.package_hash != turn.environment.package_hash:
        differ.append(f"package hash {turn.environment.package_hash[:12]} / {here.package_hash[:12]}")
    if differ:
        raise WorkerRefusedError(f"{machine()} is not like the run's machine (run / here): {'; '.join(differ)}")
    try:
        keys = job_keys(turn.settings, here, targets=turn.targets, revision=turn.settings.revision)
    except OSError as error:
        raise WorkerRefusedError(f"{machine()}: {error.filename}: cannot be read ({error.strerror})") from None
    if other := [order.job.name for order in turn.orders if keys[order.job] != order.key]:
        raise WorkerRefusedError(
            f"{machine()}: the code of suite or backend, the data or the weights of {', '.join(other)} differ from "
            "those where the run was started"
        )


def _run_in_own_folder(order: JobOrder, stopped: Callable[[], bool]) -> Parcel:
    with tempfile.TemporaryDirectory(prefix="pacbench-job-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in FOLDERS[:3]:
            (folder / part).mkdir()
        write_pytest_ini(folder)
        end = run_job(order, folder, python=sys.executable, stopped=stopped)
        paths = [path for part in FOLDERS for path in sorted((folder / part).rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return Parcel(order.job.name, end, files)
