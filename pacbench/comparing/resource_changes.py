"""What of the committed resource budgets of compiled GPU kernels changed between two revisions: known without a GPU."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pacbench.resources import ResourceRecord, compare, read_budget
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


class ResourceChange(BaseModel):
    """One kernel that takes something else than before.

    Attributes:
        backend: Whose kernel it is.
        kernel: Target, name and variant.
        text: What changed, such as ``registers 130, BASE 128``.
        worse: Whether NEW takes more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    kernel: str
    text: str
    worse: bool


def resource_changes(base: str, new: str) -> list[ResourceChange]:
    """Compare the budgets of two installations, the worse first; kernels of one side only are listed and are not worse.

    Args:
        base: The interpreter of BASE.
        new: That of NEW.

    Raises:
        RunError: an installation does not answer.
        BudgetError: a budget cannot be read.
    """
    before, after = _budgets(base), _budgets(new)
    found: list[ResourceChange] = []
    for backend in dict.fromkeys([*before, *after]):
        old, young = before.get(backend, {}), after.get(backend, {})
        common = [key for key in young if key in old]
        for one in compare([young[key] for key in common], [old[key] for key in common]):
            text = one.text.replace(", budget ", ", BASE ")
            found.append(ResourceChange(backend=backend, kernel=one.kernel, text=text, worse=one.worse))
        for name, mine, others in (("BASE", old, young), ("NEW", young, old)):
            found += [
                ResourceChange(backend=backend, kernel=record.name, text=f"only {name} has it", worse=False)
                for key, record in mine.items()
                if key not in others
            ]
    return sorted(found, key=lambda change: not change.worse)


def _budgets(python: str) -> dict[str, dict[tuple[str, str, str], ResourceRecord]]:
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
    return {name: {record.key: record for record in read_budget(Path(path)).records} for name, path in paths.items()}
