"""The jobs of a run on the workers of an executor: turns go out, and what comes home counts exactly once."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeVar

from pacbench.records import Environment, JobRecord

from .job import Job
from .job_run import JobEnd
from .leash import Leash, holding
from .probes import RunError, describe_environment
from .progress import RunProgress
from .run_session import BY_CTRL_C, RunSession
from .turn import Turn, TurnResult, environment_here, work_off

ATTEMPTS = 3
"""How often a turn is handed out before its jobs are failed rows."""

_LOOK_EVERY_S = 1.0

_Result = TypeVar("_Result")


class WatchedExecutor(Executor):
    """An executor that can say that nothing more will come of what it was given."""

    @abstractmethod
    def trouble(self) -> str | None:
        """Why no future of it will ever be done, as part of a sentence; None where one may."""


class ExecutorBrokenError(RunError):
    """Nothing more comes home; the message is one line that says why."""


@dataclass
class _Errand:
    """The jobs of a turn until their results are home.

    Attributes:
        jobs: The jobs, in order.
        attempt: Names the attempt whose result counts.
        before: Why each attempt before that brought nothing home.
    """

    jobs: tuple[Job, ...]
    attempt: str = ""
    before: list[str] = field(default_factory=list)


def environment_of(executor: Executor, allocator: str, *, measure_roof: bool) -> Environment:
    """The environment of a worker, of which all that run jobs must be alike.

    Raises:
        RunError: no worker could describe it.
    """
    try:
        return _result(executor, _submitted(executor, _describe, allocator, measure_roof))
    except ExecutorBrokenError:
        raise
    except Exception as error:
        raise RunError(f"the executor could not describe a worker: {_said(error)}") from error


def dispatch(session: RunSession, executor: Executor, progress: RunProgress) -> None:
    """Run every job of a session: all gates, then the rounds, handed out in the order in which they run locally.

    Raises:
        KeyboardInterrupt: passed on; what was handed out is cancelled, told to end where it was running, and
            written down.
        ExecutorBrokenError: nothing more comes home.
        OSError: the folder cannot be written.
    """
    with holding() as leash:
        dispatcher = _Dispatcher(session, executor, progress, leash)
        for stage in (True, False):
            dispatcher.run(_turns(job for job in session.jobs if job.is_gate == stage))


def _turns(jobs: Iterable[Job]) -> list[tuple[Job, ...]]:
    """Gates one by one; of all else, what one round of a suite asks of every backend."""
    return [tuple(group) for _, group in groupby(jobs, key=lambda job: job if job.is_gate else (job.suite, job.round))]


@dataclass
class _Dispatcher:
    session: RunSession
    executor: Executor
    progress: RunProgress
    leash: Leash
    out: dict[Future[TurnResult], _Errand] = field(default_factory=dict)

    def run(self, turns: list[tuple[Job, ...]]) -> None:
        try:
            for jobs in turns:
                self._begin(jobs)
            while self.out:
                done, _ = wait(self.out, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                for future in [future for future in self.out if future in done]:
                    self._come_home(self.out.pop(future), future)
                if not done:
                    _expect_no_trouble(self.executor)
        except KeyboardInterrupt:
            for job in (job for errand in self.out.values() for job in errand.jobs):
                self.session.write_down(job, BY_CTRL_C)
            raise
        finally:
            for future in self.out:
                future.cancel()

    def _begin(self, jobs: tuple[Job, ...]) -> None:
        left = []
        for job in jobs:
            record = self.session.settled(job)
            if record is None:
                left.append(job)
            else:
                self._tell(job, record)
        if left:
            self._hand_out(_Errand(tuple(left)))

    def _hand_out(self, errand: _Errand) -> None:
        session = self.session
        errand.attempt = uuid.uuid4().hex
        orders = tuple(session.order(job) for job in errand.jobs)
        turn = Turn(errand.attempt, orders, session.settings, session.targets, session.environment, self.leash)
        self.progress.begin(f"{session.label}{errand.jobs[0].name}")
        self.out[_submitted(self.executor, work_off, turn)] = errand

    def _come_home(self, errand: _Errand, future: Future[TurnResult]) -> None:
        try:
            result = _result(self.executor, future)
        except ExecutorBrokenError:
            raise
        except Exception as error:  # whatever the worker met, another may not
            self._retry(errand, _said(error))
            return
        trouble = _misfit(errand, result)
        if trouble is not None:
            self._retry(errand, trouble)
            return
        before = [*errand.before, *(f"{worker} was lost while it ran this" for worker in result.lost_on)]
        where: dict[str, Any] = {
            "machine": result.machine, "worker": result.worker, "attempt": 1 + len(before), "before": before
        }  # fmt: skip
        for job, parcel in zip(errand.jobs, result.parcels, strict=True):
            self._tell(job, self.session.write_down(job, parcel.end, parcel.files, **where))

    def _retry(self, errand: _Errand, why: str) -> None:
        errand.before.append(why)
        if len(errand.before) < ATTEMPTS:
            self._hand_out(errand)
            return
        reason = f"no worker brought a result home in {ATTEMPTS} attempts: {'; '.join(dict.fromkeys(errand.before))}"
        for job in errand.jobs:
            end = JobEnd("crashed", reason)
            self._tell(job, self.session.write_down(job, end, attempt=ATTEMPTS, before=errand.before[:-1]))

    def _tell(self, job: Job, record: JobRecord) -> None:
        session = self.session
        told = [session.count(job), f"on {record.machine}" if record.machine else ""]
        told += [f"attempt {record.attempt}"] if record.attempt > 1 else []
        self.progress.end(record, "; ".join(filter(None, told)), kept=job in session.kept, label=session.label)


def _describe(allocator: str, measure_roof: bool) -> Environment:
    """Runs on a worker."""
    if measure_roof:
        return describe_environment(measure_roof=True, allocator=allocator)
    return environment_here(allocator)


def _misfit(errand: _Errand, result: object) -> str | None:
    """Why what came home is not the result of this attempt: then it must not count."""
    if not isinstance(result, TurnResult):
        return f"the executor brought home {type(result).__name__}, expected a result of this turn"
    if result.attempt != errand.attempt:
        return f"{result.worker} brought home the result of another attempt, which was dropped"
    names, expected = [parcel.job for parcel in result.parcels], [job.name for job in errand.jobs]
    if names != expected:
        return f"{result.worker} brought home {', '.join(names) or 'nothing'}, expected {', '.join(expected)}"
    return None


def _submitted(executor: Executor, fn: Callable[..., _Result], *arguments: object) -> Future[_Result]:
    """A call handed out; ExecutorBrokenError where its executor takes none."""
    try:
        return executor.submit(fn, *arguments)
    except (OSError, RuntimeError) as error:  # no process can be started, the scheduler is gone; broken, or shut down
        raise ExecutorBrokenError(f"the executor takes no job: {_said(error)}") from error


def _result(executor: Executor, future: Future[_Result]) -> _Result:
    """What a future holds or raises; ExecutorBrokenError where its executor is broken."""
    while not wait([future], _LOOK_EVERY_S).done:
        _expect_no_trouble(executor)
    try:
        return future.result()
    except (BrokenExecutor, CancelledError) as error:
        _expect_no_trouble(executor)
        raise ExecutorBrokenError(f"the executor is broken: {_said(error)}") from error


def _expect_no_trouble(executor: Executor) -> None:
    if isinstance(executor, WatchedExecutor) and (trouble := executor.trouble()) is not None:
        raise ExecutorBrokenError(trouble)


def _said(error: BaseException) -> str:
    """An exception in one line; `WorkerRefusedError` and the like by their words alone."""
    words = " ".join(str(error).split())
    return (
        words
        if words and type(error).__module__.startswith("pacbench")
        else f"{type(error).__name__}: {words}".rstrip(": ")
    )
