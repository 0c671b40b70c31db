"""The coordinator of a run: starts one subprocess a job, writes down how each ended, and can take a run up again."""

from __future__ import annotations

import shlex
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from pacbench.frame import GateState, Run, read_run
from pacbench.records import CaseRecord, JobRecord, RecordError, RunSettings, append, read_lines, read_one, write_one
from pacbench.registry import get_backend, list_backends

from .exit_code import INTERRUPTED, exit_code
from .job import Job, command, spread
from .job_end import describe_end
from .probes import RunError, describe_environment, job_environment, methods_by_suite, write_pytest_ini
from .process import run_to_end
from .progress import RunProgress
from .resuming import job_keys, reusable_jobs


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

    def run(self) -> tuple[Run | None, int]:
        """Run every job that is still to run.

        Returns:
            What the run folder says, and an exit code: 0 if all is well, 1 if a gate is red or a row failed;
            None and 130 after Ctrl-C.

        Raises:
            RunError: the folder cannot be written, or the environment cannot be described.
            UnknownNameError: no suite has a method of that name.
        """
        try:
            with _terminate_like_ctrl_c():
                for name in ("records", "logs", "panels"):
                    (self.folder / name).mkdir(parents=True, exist_ok=True)
                write_pytest_ini(self.folder)
                methods = methods_by_suite(self.settings, self.targets)
                suites = [suite for suite in self.settings.suites if methods is None or methods[suite]]
                settings = self.settings.model_copy(update={"suites": suites})
                return replace(self, settings=settings)._run(methods or {})
        except KeyboardInterrupt:
            self._say(f"interrupted; what was measured is kept in {self.folder}")
            if self.resume_command is not None:
                self._say(f"resume: {self.resume_command} {shlex.quote(str(self.folder))}")
            return None, INTERRUPTED
        except OSError as error:
            raise RunError(f"{error.filename or self.folder}: cannot be written ({error.strerror or error})") from error

    def _run(self, methods: Mapping[str, list[str]]) -> tuple[Run, int]:
        environment = describe_environment(measure_roof=self.measure_roof, allocator=self.settings.allocator)
        if not self.resume:
            write_one(self.folder / "run.json", self.settings)
        write_one(self.folder / "environment.json", environment)
        keys = job_keys(self.settings, environment)
        kept = reusable_jobs(self.folder, keys, self._say) if self.resume else {}
        withheld: dict[str, str] = {}
        with RunProgress(self.console, len(keys)) as progress:
            for job, key in keys.items():
                if job in kept:
                    record = kept[job]
                elif job.backend in withheld:
                    record = _record(job, key, "withheld", reason=withheld[job.backend])
                    append(self.folder / "jobs.jsonl", record)
                else:
                    progress.begin(job.name)
                    record = self._run_job(job, key, methods.get(job.suite))
                progress.end(record, self._count(job), kept=job in kept)
                if job.is_gate and (reason := self._gate_reason(job.backend)):
                    withheld[job.backend] = f"gate is not green: {reason}"
        run = read_run(self.folder)
        return run, exit_code(run)

    def _run_job(self, job: Job, key: str, methods: list[str] | None) -> JobRecord:
        for pattern in (f"records/{job.name}.jsonl", f"panels/{job.name}-*.png"):
            for path in self.folder.glob(pattern):
                path.unlink()
        if self.full_gate and job.is_gate:
            job = Job(job.suite, job.backend, job.round, marker=None)
        words = command(job, self.settings, self.folder, methods=methods, targets=self.targets)
        if job.is_gate and job.backend in self.junit:
            words.append(f"--junit-xml={self.junit[job.backend]}")
        if self.full_gate and job.is_gate and job.backend in list_backends():  # a stranger's class is not loaded here
            words += spread(get_backend(job.backend))
        log = self.folder / "logs" / f"{job.name}.log"
        timeout = self.settings.timeout_s
        try:
            end = run_to_end(words, log, environment=job_environment(self.settings.allocator), timeout_s=timeout)
        except KeyboardInterrupt:
            append(self.folder / "jobs.jsonl", _record(job, key, "interrupted", reason="interrupted by the user"))
            raise
        outcome, reason = describe_end(end, log, self._records(job), timeout)
        duration = round(end.duration_s, 3)
        record = _record(job, key, outcome, reason=reason, exit_code=end.exit_code, duration_s=duration)
        append(self.folder / "jobs.jsonl", record)
        return record

    def _gate_reason(self, backend: str) -> str | None:
        return read_run(self.folder).gate.get(backend, GateState(False, reason="the gate left no record")).reason

    def _count(self, job: Job) -> str:
        try:
            lines = read_lines(self._records(job)) if self._records(job).exists() else []
        except RecordError:
            return ""
        counts = Counter(line.outcome for line in lines if isinstance(line, CaseRecord))
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())

    def _records(self, job: Job) -> Path:
        return self.folder / "records" / f"{job.name}.jsonl"

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def resumed_settings(folder: Path) -> RunSettings:
    """Settings of a run that is to be resumed.

    Raises:
        RecordError: the folder holds no readable `run.json`.
    """
    return read_one(folder / "run.json", RunSettings)


def _record(job: Job, key: str, outcome: Any, **rest: Any) -> JobRecord:
    return JobRecord(
        job=job.name, key=key, suite=job.suite, backend=job.backend, round=job.round, outcome=outcome, **rest
    )


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
