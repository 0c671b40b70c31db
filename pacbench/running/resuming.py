"""What of an earlier run may be kept: only what was made by the same code, under the same circumstances."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pacbench.measuring.package_hash import backend_hash, data_hash, sources_hash
from pacbench.records import Environment, JobRecord, RecordError, RunSettings, read_lines, write_text

from .job import Job, job_key, plan
from .job_end import unfinished_case


def job_keys(
    settings: RunSettings,
    environment: Environment,
    *,
    targets: Mapping[str, str] | None = None,
    revision: str | None = None,
) -> dict[Job, str]:
    """The key of each job of a run, in the order in which they run.

    Args:
        settings: What is asked.
        environment: Where it runs.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.
        revision: Commit that the code under test was built from; None where it is what this process sees.
    """
    data = data_hash(Path(settings.data_root)) if settings.data_root is not None else None
    weights = ",".join(hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in settings.weights)
    suites = environment.suites | {name: sources_hash(Path(path)) for name, path in (targets or {}).items()}
    code = {name: f"{name} {revision}" if revision else backend_hash(name) for name in settings.backends}
    return {
        job: job_key(
            job,
            settings,
            environment,
            suite_code=suites.get(job.suite, ""),
            backend_code=code[job.backend],
            data=data,
            weights=weights,
        )
        for job in plan(settings)
    }


def keep_only(folder: Path, kept: Iterable[JobRecord]) -> None:
    """Forget how all other jobs ended, before their records are removed.

    Else a job that was dropped and never ran again would count as completed, without a record to show for it; and
    results of another state of the code, left by a run that was killed, could be taken for its own.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / "jobs.jsonl"
    if path.exists():
        write_text(path, "".join(record.model_dump_json() + "\n" for record in kept))


def drop_stale(folder: Path, jobs: Iterable[Job]) -> None:
    """Remove what jobs that will run again had recorded, before anything else is written.

    Else a resumed run that is killed would hold results of two states of the code, side by side.

    Raises:
        OSError: a file cannot be removed.
    """
    for job in jobs:
        for pattern in (f"records/{job.name}.jsonl", f"records/{job.name}.gw*.jsonl", f"panels/{job.name}-*.png"):
            for path in folder.glob(pattern):
                path.unlink()
        if (pictures := folder / "predictions" / job.name).is_dir():
            shutil.rmtree(pictures)


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
