"""What of an earlier run may be kept: only what was made by the same code, under the same circumstances."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from pacbench.measuring.package_hash import backend_hash, data_hash
from pacbench.records import Environment, JobRecord, RecordError, RunSettings, read_lines

from .job import Job, job_key, plan
from .job_end import unfinished_case


def job_keys(settings: RunSettings, environment: Environment) -> dict[Job, str]:
    """The key of each job of a run, in the order in which they run."""
    data = data_hash(Path(settings.data_root)) if settings.data_root is not None else None
    weights = ",".join(hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in settings.weights)
    code = {backend: backend_hash(backend) for backend in settings.backends}
    return {
        job: job_key(job, settings, environment, backend_code=code[job.backend], data=data, weights=weights)
        for job in plan(settings)
    }


def reusable_jobs(folder: Path, keys: Mapping[Job, str], say: Callable[[str], None]) -> dict[Job, JobRecord]:
    """Jobs that ended completely under the same key, with every record of theirs readable.

    Args:
        folder: The run folder.
        keys: The keys as they are now.
        say: Called with one line about a file that cannot be read.
    """
    path = folder / "jobs.jsonl"
    try:
        lines = read_lines(path) if path.exists() else []
    except RecordError as error:
        say(f"{error}; every job runs again")
        path.rename(path.with_suffix(".unreadable"))
        return {}
    ended = {line.job: line for line in lines if isinstance(line, JobRecord)}
    return {
        job: record
        for job, key in keys.items()
        if (record := ended.get(job.name)) is not None
        and record.outcome == "completed"
        and record.key == key
        and _is_complete(folder / "records" / f"{job.name}.jsonl")
    }


def _is_complete(records: Path) -> bool:
    try:
        return bool(read_lines(records)) and unfinished_case(records) is None
    except RecordError:
        return False
