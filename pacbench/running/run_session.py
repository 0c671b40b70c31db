"""One run at work in its folder: its jobs, what of them is kept, what is withheld."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacbench.frame import GateState, read_run
from pacbench.records import CaseRecord, JobRecord, RecordError, RunSettings, append, read_lines
from pacbench.registry import get_backend, list_backends

from .job import Job, command, spread
from .job_end import describe_end
from .memory_watch import default_limit_bytes
from .parent_process import VARIABLE as COORDINATOR
from .probes import job_environment
from .process import run_to_end
from .resuming import drop_stale


@dataclass
class RunSession:
    """Runs the jobs of one folder one by one.

    Attributes:
        folder: The run folder.
        settings: What is asked.
        keys: Key of every job, in the order in which they run.
        kept: Records of jobs that need not run again.
        methods: By suite, the methods to run; empty for all.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.
        full_gate: Whether gates run their whole suite.
        junit: Where to write each gate's JUnit file, by backend.
        python: The interpreter of the jobs.
        lock: File descriptor of the folder's lock.
        label: Which of several runs this is, before the names of its jobs.
    """

    folder: Path
    settings: RunSettings
    keys: Mapping[Job, str]
    kept: Mapping[Job, JobRecord]
    methods: Mapping[str, list[str]]
    targets: Mapping[str, str]
    full_gate: bool
    junit: Mapping[str, Path]
    python: str
    lock: int
    label: str = ""
    _withheld: dict[str, str] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        """Every job, in order."""
        return list(self.keys)

    def do(self, job: Job) -> JobRecord:
        """Run a job, unless it is kept or its backend is withheld, and write down how it ended.

        Raises:
            KeyboardInterrupt: passed on, after the job has been ended and that has been written down.
            OSError: the folder cannot be written.
        """
        if job in self.kept:
            record = self.kept[job]
        elif job.backend in self._withheld:
            drop_stale(self.folder, [job])
            record = self._record(job, "withheld", reason=self._withheld[job.backend])
            append(self.folder / "jobs.jsonl", record)
        else:
            record = self._run(job)
        if job.is_gate and (reason := self._gate_reason(job.backend)):
            self._withheld[job.backend] = f"gate is not green: {reason}"
        return record

    def count(self, job: Job) -> str:
        """How a job's cases ended, such as ``3 passed, 1 failed``."""
        try:
            lines = read_lines(self._records(job)) if self._records(job).exists() else []
        except RecordError:
            return ""
        counts = Counter(line.outcome for line in lines if isinstance(line, CaseRecord))
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())

    def _run(self, job: Job) -> JobRecord:
        drop_stale(self.folder, [job])
        log = self.folder / "logs" / f"{job.name}.log"
        settings = self.settings
        limit = settings.memory_limit_bytes or default_limit_bytes()
        environment = job_environment(settings.allocator) | {COORDINATOR: str(os.getpid())}
        try:
            end = run_to_end(
                self._command(job), log, environment=environment, timeout_s=settings.timeout_s,
                memory_limit_bytes=limit, inherited=(self.lock,), folder=self.folder,
            )  # fmt: skip
        except KeyboardInterrupt:
            append(self.folder / "jobs.jsonl", self._record(job, "interrupted", reason="interrupted by the user"))
            raise
        outcome, reason = describe_end(end, log, self._records(job), settings.timeout_s)
        duration = round(end.duration_s, 3)
        record = self._record(job, outcome, reason=reason, exit_code=end.exit_code, duration_s=duration)
        append(self.folder / "jobs.jsonl", record)
        return record

    def _command(self, job: Job) -> list[str]:
        whole_gate = self.full_gate and job.is_gate
        methods = self.methods.get(job.suite)
        asked = Job(job.suite, job.backend, job.round, marker=None) if whole_gate else job
        words = command(
            asked, self.settings, self.folder, methods=methods, targets=self.targets, python=self.python
        )  # fmt: skip
        if job.is_gate and job.backend in self.junit:
            words.append(f"--junit-xml={self.junit[job.backend]}")
        if whole_gate and job.backend in list_backends():  # a stranger's class is not loaded here
            words += spread(get_backend(job.backend))
        return words

    def _gate_reason(self, backend: str) -> str | None:
        return read_run(self.folder).gate.get(backend, GateState(False, reason="the gate left no record")).reason

    def _record(self, job: Job, outcome: Any, **rest: Any) -> JobRecord:
        return JobRecord(
            job=job.name, key=self.keys[job], suite=job.suite, backend=job.backend, round=job.round, outcome=outcome,
            **rest,
        )  # fmt: skip

    def _records(self, job: Job) -> Path:
        return self.folder / "records" / f"{job.name}.jsonl"
