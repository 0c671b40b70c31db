"""One run at work in its folder: its jobs, what of them is kept, what is withheld."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacbench.frame import GateState, read_run
from pacbench.records import CaseRecord, Environment, JobRecord, RecordError, RunSettings, append, read_lines
from pacbench.registry import get_backend, list_backends

from .job import Job, command, spread
from .job_run import JobEnd, JobOrder, run_job
from .resuming import drop_stale

BY_CTRL_C = JobEnd("interrupted", "interrupted by the user")
"""How a job ends that Ctrl-C has ended."""


@dataclass
class RunSession:
    """The jobs of one folder: runs them here one by one, or orders them elsewhere and writes down what comes home.

    Attributes:
        folder: The run folder.
        settings: What is asked.
        environment: Where the run is made.
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
    environment: Environment
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
        record = self.settled(job)
        if record is None:
            record = self._run(job)
            self._judge(job)
        return record

    def settled(self, job: Job) -> JobRecord | None:
        """The record of a job that is kept or whose backend is withheld; None where it is to be run.

        Raises:
            OSError: the folder cannot be written.
        """
        if job in self.kept:
            self._judge(job)
            return self.kept[job]
        if job.backend in self._withheld:
            return self.write_down(job, JobEnd("withheld", self._withheld[job.backend]))
        return None

    def order(self, job: Job) -> JobOrder:
        """A job for whoever runs it in a folder of their own."""
        return self._order(job, self._command(job, Path()))

    def write_down(self, job: Job, end: JobEnd, files: Mapping[str, bytes] | None = None, **where: Any) -> JobRecord:
        """Write down a job that did not run in this folder, in place of anything that lies there of it.

        Its record is written last: a run that is killed before has no such job.

        Args:
            job: The job.
            end: How it ended.
            files: What it has sent home, by names within the folder.
            where: Fields of its record that say where it ran.

        Raises:
            OSError: the folder cannot be written.
        """
        drop_stale(self.folder, [job])
        for name, content in (files or {}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        record = self._end(job, end, **where)
        self._judge(job)
        return record

    def count(self, job: Job) -> str:
        """How a job's cases ended, such as ``3 passed, 1 failed``."""
        try:
            lines = read_lines(self._records(job)) if self._records(job).exists() else []
        except RecordError:
            return ""
        counts = Counter(line.outcome for line in lines if isinstance(line, CaseRecord))
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())

    def run(self, job: Job, *, seat: int | None = None, unwanted: Callable[[], bool] | None = None) -> JobEnd:
        """Run a job in a process; that it ended is yet to be written down, as by `ended`.

        Args:
            job: The job, neither kept nor withheld.
            seat: File descriptor of its seat, where it takes turns with others.
            unwanted: Asked several times a second whether it is to be ended.

        Raises:
            Stopped: it was unwanted.
            OSError: the folder cannot be written.
        """
        drop_stale(self.folder, [job])
        order = self._order(job, self._command(job))
        return run_job(
            order, self.folder, python=self.python, inherited=(self.lock,), seat=seat, stopped=unwanted
        )  # fmt: skip

    def ended(self, job: Job, end: JobEnd) -> JobRecord:
        """Write down how a job that ran in this folder ended."""
        record = self._end(job, end)
        self._judge(job)
        return record

    def _run(self, job: Job) -> JobRecord:
        try:
            end = self.run(job)
        except KeyboardInterrupt:
            self._end(job, BY_CTRL_C)
            raise
        return self._end(job, end)

    def _order(self, job: Job, words: list[str]) -> JobOrder:
        settings = self.settings
        return JobOrder(
            job, self.keys[job], tuple(words[1:]), settings.allocator, settings.timeout_s, settings.memory_limit_bytes
        )

    def _command(self, job: Job, folder: Path | None = None) -> list[str]:
        whole_gate = self.full_gate and job.is_gate
        methods = self.methods.get(job.suite)
        asked = Job(job.suite, job.backend, job.round, marker=None) if whole_gate else job
        words = command(
            asked, self.settings, folder or self.folder, methods=methods, targets=self.targets, python=self.python
        )  # fmt: skip
        if job.is_gate and job.backend in self.junit:
            words.append(f"--junit-xml={self.junit[job.backend]}")
        if whole_gate and job.backend in list_backends():  # a stranger's class is not loaded here
            words += spread(get_backend(job.backend))
        return words

    def _judge(self, job: Job) -> None:
        if job.is_gate and (reason := self._gate_reason(job.backend)):
            self._withheld[job.backend] = f"gate is not green: {reason}"

    def _gate_reason(self, backend: str) -> str | None:
        return read_run(self.folder).gate.get(backend, GateState(False, reason="the gate left no record")).reason

    def _end(self, job: Job, end: JobEnd, **where: Any) -> JobRecord:
        record = JobRecord(
            job=job.name, key=self.keys[job], suite=job.suite, backend=job.backend, round=job.round,
            outcome=end.outcome, reason=end.reason, exit_code=end.exit_code, duration_s=end.duration_s, **where,
        )  # fmt: skip
        append(self.folder / "jobs.jsonl", record)
        return record

    def _records(self, job: Job) -> Path:
        return self.folder / "records" / f"{job.name}.jsonl"
