"""What the coordinator asks in processes of their own: the environment, and the methods that suites have."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pacbench.errors import UnknownNameError
from pacbench.records import Environment, RunSettings

from .allocator import DEFAULT, with_allocator
from .job import Job, command
from .job_end import describe_end
from .process import run_to_end

_PYTEST_INI = "[pytest]\n# Made by pacbench: jobs of this run do not read the settings of the folder they start in.\n"
_ENVIRONMENT_TIMEOUT_S = 300
METHODS_LISTED_UNDER = "unfold"
"""The backend that suites are collected with to list their methods: a stranger's might not load."""

_NOT_INHERITED = ("PYTEST_", "PACBENCH_")


class RunError(RuntimeError):
    """A run that cannot begin; the message is one line that says why."""


def write_pytest_ini(folder: Path) -> None:
    """Write the settings that jobs run with."""
    (folder / "pytest.ini").write_text(_PYTEST_INI, encoding="utf-8")


def methods_by_suite(
    settings: RunSettings, targets: Mapping[str, str], *, python: str = sys.executable
) -> dict[str, list[str]] | None:
    """Of the methods asked for, those that each suite has; None if all are wanted.

    Raises:
        UnknownNameError: no suite has a method of that name.
        RunError: a suite cannot be collected.
    """
    if settings.methods is None:
        return None
    known = {suite: list_methods(suite, METHODS_LISTED_UNDER, targets, python=python) for suite in settings.suites}
    every = {name for names in known.values() for name in names}
    for name in settings.methods:
        if name not in every:
            raise UnknownNameError("method", name, every)
    return {suite: [name for name in settings.methods if name in names] for suite, names in known.items()}


def list_methods(suite: str, backend: str, targets: Mapping[str, str], *, python: str = sys.executable) -> list[str]:
    """Names of a suite's methods, in a process of its own.

    Raises:
        RunError: the suite cannot be collected.
    """
    with tempfile.TemporaryDirectory(prefix="pacbench-") as name:
        folder = Path(name)
        write_pytest_ini(folder)
        settings = RunSettings(suites=[suite], backends=[backend], profile="quick", rounds=1, command="", started="")
        words = command(Job(suite, backend), settings, folder, targets=targets, python=python)
        log, names = folder / "log", folder / "methods"
        words.append(f"--pacbench-list-methods={names}")
        end = run_to_end(words, log, environment=job_environment(), folder=folder)
        if not names.exists():
            outcome, reason = describe_end(end, log, folder / "none", None)
            raise RunError(f"suite {suite} cannot be collected: {reason or outcome}")
        return names.read_text(encoding="utf-8").split("\n")[:-1]


def describe_environment(
    *, measure_roof: bool = True, allocator: str = DEFAULT, python: str = sys.executable
) -> Environment:
    """Describe this machine, in a process of its own under the allocator's setting of that name.

    Args:
        measure_roof: Whether to measure the FMA peak and the copy bandwidth.
        allocator: Name of the allocator's setting.
        python: The interpreter.

    Raises:
        RunError: that process failed.
    """
    words = [python, "-m", "pacbench.measuring.environment", *([] if measure_roof else ["--no-roof"])]
    try:
        done = subprocess.run(  # noqa: S603 (our own module, no shell)
            words, capture_output=True, text=True, check=False, timeout=_ENVIRONMENT_TIMEOUT_S,
            env=job_environment(allocator),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RunError(f"the environment could not be described within {_ENVIRONMENT_TIMEOUT_S} s") from None
    if done.returncode != 0 and measure_roof:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        found = describe_environment(measure_roof=False, allocator=allocator, python=python)
        return found.model_copy(update={"fma_peak_reason": f"measuring failed: {said}"})
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RunError(f"the environment cannot be described: {said}")
    try:
        return Environment.model_validate_json(done.stdout)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(f"the environment does not fit the schema: {where}: {first['msg']}") from error


def job_environment(allocator: str = DEFAULT) -> dict[str, str]:
    """Environment variables of a job: this process's, without what would change pytest or pacbench.

    Plug-ins of pytest that happen to be installed stay out; a job names those that it needs. The working directory
    is no import path: a checkout's folder `pacbench` would hide the installed package, which has all the rooms. Nor do
    jobs run in it, since pytest would load the `conftest.py` of a folder `tests` there; PYTHONPATH is made absolute.

    Args:
        allocator: Name of the allocator's setting, one of `allocator.ALLOCATORS`.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    if path := kept.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(part).absolute()) for part in path.split(os.pathsep) if part)
    return with_allocator(kept, allocator) | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "200",
    }
