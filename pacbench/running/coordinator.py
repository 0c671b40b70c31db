"""The coordinator of a run: has each job run in a subprocess, here or by an executor, and can take a run up again."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from pacbench.frame import Run, read_run
from pacbench.records import Environment, RunSettings, read_one, write_one

from .dispatch import dispatch, environment_of
from .exit_code import INTERRUPTED, exit_code
from .job import Job
from .probes import RunError, describe_environment, methods_by_suite, write_pytest_ini
from .progress import RunProgress
from .resuming import drop_stale, job_keys, keep_only, reusable_jobs
from .run_lock import locked
from .run_session import RunSession
from .side_by_side import do_together, together


@dataclass(frozen=True)
class Coordinator:
    """Runs the jobs of one run folder.

    Attributes:
        folder: The run folder.
        settings: What is asked.
        console: Where progress goes.
        resume: Whether to keep what the folder already holds under the same key.
        full_gate: Whether gates run their whole suite instead of the smoke subset.
        junit: Where to write each gate's JUnit file, by backend.
        measure_roof: Whether to measure the machine's roof.
        resume_command: How the user takes the run up again; None where that makes no sense.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.
        python: The interpreter of the jobs, whose pacbench and backends are measured.
        label: Which of several interleaved runs this is.
        executor: Who runs the jobs, each in a subprocess on one of its workers; None for here, one after another. It
            stays the caller's. There are neither JUnit files nor another `python` then, and nothing to interleave with.
    """

    folder: Path
    settings: RunSettings
    console: Console
    resume: bool = False
    full_gate: bool = False
    junit: Mapping[str, Path] = field(default_factory=dict)
    measure_roof: bool = True
    resume_command: str | None = "pacbench run --resume"
    targets: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    label: str = ""
    executor: Executor | None = None

    def run(self) -> tuple[Run | None, int]:
        """Run every job that is still to run.

        Returns:
            What the run folder says, and an exit code: 0 if all is well, 1 if a gate is red or a row failed;
            None and 130 after Ctrl-C.

        Raises:
            RunError: the folder cannot be written, another run is at work in it, the environment cannot be
                described, or the executor is broken.
            UnknownNameError: no suite has a method of that name.
        """
        runs = run_interleaved([self])
        if runs is None:
            self.say(f"interrupted; what was measured is kept in {self.folder}")
            if self.resume_command is not None:
                self.say(f"resume: {self.resume_command} {shlex.quote(str(self.folder))}")
            return None, INTERRUPTED
        return runs[0], exit_code(runs[0])

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, lock: int) -> RunSession:
        """Write down what is asked and where, and find out what is still to run."""
        for name in ("records", "logs", "panels"):
            (self.folder / name).mkdir(exist_ok=True)
        write_pytest_ini(self.folder)
        methods = methods_by_suite(self.settings, self.targets, python=self.python)
        suites = [suite for suite in self.settings.suites if methods is None or methods[suite]]
        settings = self.settings.model_copy(update={"suites": suites})
        environment = self._environment(settings.allocator)
        keys = job_keys(settings, environment, targets=self.targets, revision=settings.revision)
        kept = reusable_jobs(self.folder, keys, self.say) if self.resume else {}
        if self.resume:
            keep_only(self.folder, kept.values())
            drop_stale(self.folder, [job for job in keys if job not in kept])
        else:
            write_one(self.folder / "run.json", settings)
        write_one(self.folder / "environment.json", environment)
        return RunSession(
            self.folder, settings, environment, keys, kept, methods or {}, self.targets, self.full_gate, self.junit,
            self.python, lock, self.label,
        )  # fmt: skip

    def _environment(self, allocator: str) -> Environment:
        if self.executor is not None:
            return environment_of(self.executor, allocator, measure_roof=self.measure_roof)
        return describe_environment(measure_roof=self.measure_roof, allocator=allocator, python=self.python)


def run_interleaved(coordinators: Sequence[Coordinator]) -> list[Run] | None:
    """Run several runs in turns: the gates of all, then round by round and suite by suite, one job of each.

    Those jobs run side by side and take turns at each case, call by call, where `side_by_side.together` says so.

    Returns:
        What each folder says, in the order given; None after Ctrl-C.

    Raises:
        RunError, UnknownNameError: as :meth:`Coordinator.run`.
        ValueError: one has an executor, which takes jobs of one run and of this interpreter.
    """
    first = coordinators[0]
    if any(each.executor is not None and (len(coordinators) > 1 or each.junit) for each in coordinators):
        raise ValueError("run_interleaved: got an executor, expected one run without JUnit files beside it")
    folder = first.folder
    try:
        with _terminate_like_ctrl_c(), ExitStack() as stack:
            sessions = []
            for coordinator in coordinators:
                folder = coordinator.folder
                folder.mkdir(parents=True, exist_ok=True)
                sessions.append(coordinator.begin(stack.enter_context(locked(folder))))
            total = sum(len(session.jobs) for session in sessions)
            progress = stack.enter_context(RunProgress(first.console, total))
            if first.executor is not None:
                dispatch(sessions[0], first.executor, progress)
            else:
                _run_here(sessions, progress)
            return [read_run(session.folder) for session in sessions]
    except KeyboardInterrupt:
        return None
    except OSError as error:
        raise RunError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error


def _run_here(sessions: Sequence[RunSession], progress: RunProgress) -> None:
    for pairs in together(in_turns(sessions)):
        begun = [f"{session.label}{job.name}" for session, job in pairs if job not in session.kept]
        if begun:
            progress.begin(" | ".join(begun))
        for (session, job), record in zip(pairs, do_together(pairs), strict=True):
            progress.end(record, session.count(job), kept=job in session.kept, label=session.label)


def in_turns(sessions: Sequence[RunSession]) -> list[tuple[RunSession, Job]]:
    """The jobs of several runs: all gates first, then by round, in the order of each run's plan."""
    found = [(session, job) for session in sessions for job in session.jobs]
    places = {id(session): {job: place for place, job in enumerate(session.jobs)} for session in sessions}
    order = {id(session): place for place, session in enumerate(sessions)}

    def turn(pair: tuple[RunSession, Job]) -> tuple[bool, int, int, int]:
        session, job = pair
        return not job.is_gate, job.round, places[id(session)][job], order[id(session)]

    return sorted(found, key=turn)


def resumed_settings(folder: Path) -> RunSettings:
    """Settings of a run that is to be resumed.

    Raises:
        RecordError: the folder holds no readable `run.json`.
    """
    return read_one(folder / "run.json", RunSettings)


@contextmanager
def _terminate_like_ctrl_c() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that no job is left behind without its coordinator."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
