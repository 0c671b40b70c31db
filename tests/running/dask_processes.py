"""A Dask cluster of processes of this machine: a scheduler and workers that a test can kill."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from run_processes import wait_for

SECONDS = 60


@dataclass(frozen=True)
class Cluster:
    """The scheduler's address, and the processes: the scheduler, then the workers."""

    address: str
    processes: list[subprocess.Popen[bytes]]


@contextmanager
def cluster(folder: Path, *workers: Sequence[str]) -> Iterator[Cluster]:
    """A scheduler with a worker for each list of options; all processes are ended afterwards."""
    file = folder / "scheduler.json"
    started = [_start(folder / "scheduler.log", "scheduler", "--scheduler-file", str(file), "--port", "0")]
    try:
        assert wait_for(file.exists, SECONDS), (folder / "scheduler.log").read_text()
        for number, options in enumerate(workers):
            log = folder / f"worker-{number}.log"
            started.append(_start(log, "worker", "--scheduler-file", str(file), "--no-nanny", *options))
        for number in range(len(workers)):
            log = folder / f"worker-{number}.log"
            assert wait_for(lambda log=log: "Registered to" in log.read_text(), SECONDS), log.read_text()
        yield Cluster(json.loads(file.read_text())["address"], started)
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def _start(log: Path, *words: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--no-dashboard", "--host", "127.0.0.1"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
