"""One job: a suite, a backend, a round, in one subprocess of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pacbench.backend import Backend
from pacbench.records import Environment, RunSettings

GATE_SUITE = "gradients"
"""The suite that must be green before a number of a backend is shown."""

ESSENTIALS = (
    "python",
    "platform",
    "processor",
    "cores",
    "threads",
    "torch",
    "cpu_capability",
    "gpu",
    "allocator",
    "packages",
)
"""What of the environment a result depends on, beside the package itself."""

_PLUGINS = (
    "no:cacheprovider", "no:hypothesispytest", "pytest_timeout", "pytest_benchmark.plugin", "pacbench.pytest_plugin",
)  # fmt: skip
"""That of hypothesis takes almost a second to import, where it is installed, and does nothing for a suite."""


@dataclass(frozen=True, slots=True)
class Job:
    """A suite run against one backend in one round; `marker` selects a part of the suite."""

    suite: str
    backend: str
    round: int = 0
    marker: str | None = None

    @property
    def is_gate(self) -> bool:
        """Whether this job decides if the backend's numbers may be shown."""
        return self.suite == GATE_SUITE

    @property
    def name(self) -> str:
        """Name of the job, and of its record and log files."""
        backend = re.sub(r"[^A-Za-z0-9_.]", "_", self.backend)
        if backend != self.backend:
            backend += "_" + hashlib.sha256(self.backend.encode()).hexdigest()[:6]
        return f"gate-{backend}" if self.is_gate else f"{self.suite}-{backend}-r{self.round}"


def plan(settings: RunSettings) -> list[Job]:
    """All jobs of a run, in order: the gates, then rounds that visit every suite and backend in turn.

    Round 0 runs whole suites; later rounds only what is marked `timing`, since quality does not change.
    """
    gates = [Job(GATE_SUITE, backend, marker="smoke") for backend in settings.backends]
    work = [
        Job(suite, backend, round_, None if round_ == 0 else "timing")
        for round_ in range(settings.rounds)
        for suite in settings.suites
        for backend in settings.backends
    ]
    return gates + work


def command(
    job: Job,
    settings: RunSettings,
    folder: Path,
    *,
    methods: list[str] | None = None,
    targets: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> list[str]:
    """The command line of a job's subprocess: plain pytest over the suite.

    Args:
        job: The job.
        settings: What was asked of the run.
        folder: The run folder.
        methods: Methods to run, of those that this suite has; None for all.
        targets: Paths of suites that are not subpackages of `pacbench.suites`.
        python: The interpreter.
    """
    target = (targets or {}).get(job.suite)
    words = [
        python,
        "-m",
        "pytest",
        *([target] if target else ["--pyargs", f"pacbench.suites.{job.suite}"]),
    ]
    words += ["-v", "--tb=short", "-c", str(folder / "pytest.ini")]
    words += [word for plugin in _PLUGINS for word in ("-p", plugin)]
    words += [
        f"--pacbench-backend={job.backend}",
        f"--pacbench-output={folder}",
        f"--pacbench-job={job.name}",
        f"--pacbench-round={job.round}",
        f"--pacbench-profile={settings.profile}",
    ]
    if settings.data_root is not None:
        words.append(f"--pacbench-data-root={settings.data_root}")
    if not job.is_gate:
        words += [f"--pacbench-weights={path}" for path in settings.weights]
        words += ["--pacbench-save-predictions"] if settings.save_predictions else []
    if settings.factors is not None and not job.is_gate:
        words.append(f"--pacbench-factor={','.join(map(str, settings.factors))}")
    if methods is not None and not job.is_gate:
        words.append(f"--pacbench-methods={','.join(methods)}")
    if job.marker:
        words += ["-m", job.marker]
    if settings.cases and not job.is_gate:
        words += ["-k", settings.cases]
    return words


def spread(backend: Backend) -> list[str]:
    """Words that spread a whole gate over the machine's cores, for a backend that is emulated; none without xdist."""
    cores = os.cpu_count() or 1
    if not backend.emulated or cores == 1 or importlib.util.find_spec("xdist") is None:
        return []
    return ["-p", "xdist", "-n", str(cores), "--dist", "worksteal"]


def job_key(
    job: Job,
    settings: RunSettings,
    environment: Environment,
    *,
    suite_code: str,
    backend_code: str,
    data: str | None,
    weights: str = "",
) -> str:
    """Digest of everything that a job's result depends on; a result is reused only under the same key.

    Args:
        job: The job.
        settings: What was asked of the run.
        environment: Where it runs, the hash of the package among it.
        suite_code: Digest of the suite's code.
        backend_code: Digest of the backend's code where it lies outside the package, else its name.
        data: Digest of the data folder's listing, None without one.
        weights: Digest of the weights files' contents, empty without any.
    """
    parts = [environment.package_hash, *(repr(getattr(environment, name)) for name in ESSENTIALS)]
    parts += [
        job.suite,
        job.backend,
        str(job.round),
        str(job.marker),
        suite_code,
        backend_code,
        settings.profile,
        repr(settings.methods),
        repr(settings.cases),
        repr(settings.factors),
        repr(settings.data_root),
        repr(settings.save_predictions),
        repr(data),
        weights,
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
