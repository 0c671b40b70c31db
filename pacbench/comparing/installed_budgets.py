"""The resource budgets of compiled GPU kernels: those of an installation, and those that a commit holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pacbench.resources import ResourceBudget, parse_budget, read_budget
from pacbench.running.probes import RunError, job_environment

_TIMEOUT_S = 120
_PROBE = """\
import json
from pacbench.registry import get_backend, list_backends
found = {}
for name in list_backends():
    path = getattr(get_backend(name), "resource_budget_file", lambda: None)()
    if path is not None and path.is_file():
        found[name] = str(path)
print(json.dumps(found))
"""
_LEAST_ALIKE = 2
"""Parts at the end of a path, such as ``triton/resource_budget.json``, by which a file of a commit is known."""


def budget_files(python: str) -> dict[str, Path]:
    """The budget file of each backend of an installation that has one.

    Args:
        python: Its interpreter.

    Raises:
        RunError: the installation does not answer.
    """
    try:
        done = subprocess.run(  # noqa: S603 (no shell)
            [python, "-P", "-c", _PROBE], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S,
            env=job_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RunError(f"{python}: its resource budgets are not told within {_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        said = (str(error.stderr).strip().splitlines() or ["nothing"])[-1]
        raise RunError(f"{python}: its resource budgets cannot be told: {said}") from None
    paths: dict[str, str] = json.loads(done.stdout)
    return {name: Path(path) for name, path in paths.items()}


def installed_budgets(python: str) -> dict[str, ResourceBudget]:
    """The budgets of an installation, by backend.

    Raises:
        RunError: the installation does not answer.
        BudgetError: a budget cannot be read.
    """
    return {name: read_budget(path) for name, path in budget_files(python).items()}


def committed_budgets(repository: Path, commit: str, files: Mapping[str, Path]) -> dict[str, ResourceBudget]:
    """The budgets that a commit holds, by backend; none where there is no such commit, or no git.

    A backend's file is found by the end of its path: installed it lies in ``pacbench/backends/triton``, in the
    repository in ``backends/triton``.

    Args:
        repository: Anywhere in it.
        commit: Any name of a commit.
        files: Each backend's budget file as it is installed here.

    Raises:
        BudgetError: a budget cannot be read.
    """
    names = _git(repository, "ls-tree", "-r", "--full-tree", "--name-only", f"{commit}^{{commit}}", "--")
    found = {}
    for backend, file in files.items():
        path = max((names or "").splitlines(), key=lambda name: _alike(name, file), default="")
        if _alike(path, file) >= _LEAST_ALIKE:
            text = _git(repository, "show", f"{commit}:{path}")
            found[backend] = parse_budget(text or "", f"{commit}:{path}")
    return found


def _alike(name: str, file: Path) -> int:
    """How many parts at their ends two paths share."""
    pairs = zip(reversed(PurePosixPath(name).parts), reversed(file.parts), strict=False)
    return next((count for count, (mine, its) in enumerate(pairs) if mine != its), len(PurePosixPath(name).parts))


def _git(folder: Path, *words: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
